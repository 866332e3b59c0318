package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrStale is the error of a write to a connection that the server had closed, or that must not be
// reused: nothing was sent. It is an io.EOF, so that go-redis takes another connection.
var ErrStale error = staleError{}

type staleError struct{}

func (staleError) Error() string { return "redis: the server closed the connection while it was idle" }
func (staleError) Unwrap() error { return io.EOF }

// maxWait bounds the growing interval between two calls of Silent by one waiting reader.
const maxWait = 30 * time.Second

// bigWrite is a write that may have to wait for the server to read: more than a socket's buffers
// take at once. Smaller ones that fill the buffers one by one end in a read, which is watched.
const bigWrite = 16 << 10

// Conn is a watched connection. Reads and writes may run beside each other, as on any net.Conn.
type Conn struct {
	net.Conn
	set  *Set
	raw  net.Conn        // the lowest layer that can be reached
	peek syscall.RawConn // of raw, where Conn is a layer above it; else nil

	until atomic.Int64 // the reader's own deadline, in ns since start; 0: none
	asked atomic.Int64 // when the reader began to wait, in ns since 1970
	heard atomic.Int64 // the value of asked of the last wait that ended with bytes

	turn   atomic.Bool  // the last thing that happened was a reply
	taken  atomic.Bool  // taken from the pool, and nothing written since
	first  atomic.Bool  // the next bytes are the first of a reply
	spent  atomic.Bool  // must not be used for another request
	watch  atomic.Int32 // what WATCH has left on the server: see watch.go
	killed atomic.Pointer[error]
	gate   func([]byte) error // nil: all may pass
	tx     guard
	tap    tapped // set once a Subscriber has taken over

	readMu sync.Mutex // held while reading
	pushed []byte     // read while looking for an end, to be given to the next Read
}

// SetReadDeadline keeps the reader's deadline, and sets the shorter one that shows silence.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if tap := c.tap.Load(); tap != nil {
		tap.setUntil(t)
		return nil
	}
	now := time.Now()
	c.until.Store(deadline(t))
	c.asked.Store(now.UnixNano())
	return c.Conn.SetReadDeadline(c.sooner(now, c.set.Silence))
}

// SetDeadline is what the pool uses to clear deadlines before it looks at the socket. Now and then it
// looks at one that is just being set up again, for a hand-over.
func (c *Conn) SetDeadline(t time.Time) error {
	if tap := c.tap.Load(); tap != nil {
		tap.setUntil(t)
		return c.SetWriteDeadline(t)
	}
	if c.watch.Load() != unwatched {
		c.spent.Store(true) // handed out anew, with what somebody has left on it
	}
	c.until.Store(deadline(t))
	c.taken.Store(t.IsZero())
	return c.Conn.SetDeadline(t)
}

func (c *Conn) sooner(now time.Time, wait time.Duration) time.Time {
	until := c.until.Load()
	if wait > 0 && (until == 0 || until-int64(now.Sub(start)) > int64(wait)) {
		return now.Add(wait)
	}
	return c.limit()
}

// limit is the reader's own deadline.
func (c *Conn) limit() time.Time {
	if until := c.until.Load(); until != 0 {
		return start.Add(time.Duration(until))
	}
	return time.Time{}
}

// start is when the process did, nearly.
var start = time.Now()

func deadline(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if d := int64(t.Sub(start)); d != 0 {
		return d
	}
	return 1
}

// Read reads as the connection below does, and calls Silent when nothing comes.
func (c *Conn) Read(p []byte) (int, error) {
	if t := c.tap.Load(); t != nil {
		return t.read(p)
	}
	n, err := c.readPlain(p)
	if t := c.tap.Load(); t != nil && n == 0 {
		return t.read(p) // it was taken over while we waited
	}
	return n, err
}

func (c *Conn) readPlain(p []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if c.tap.Load() != nil {
		return 0, nil // what there is to read belongs to the Subscriber
	}
	if len(c.pushed) > 0 {
		n := copy(p, c.pushed)
		c.pushed = c.pushed[n:]
		return n, nil
	}
	if c.tx.watching.Load() {
		return c.readTx(p)
	}
	return c.read(p)
}

func (c *Conn) read(p []byte) (int, error) {
	wait := c.set.Silence
	for {
		n, err := c.Conn.Read(p)
		if n > 0 {
			c.heard.Store(c.asked.Load())
			c.turn.Store(true)
			if c.set.quiet.Load() != 0 {
				c.set.quiet.Store(0)
			}
			if c.first.Load() {
				c.first.Store(false)
				c.firstReply(p[:n])
			}
		}
		if err == nil || n > 0 {
			return n, c.reason(err)
		}
		now := time.Now()
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.killed.Load() != nil || c.tap.Load() != nil {
			return n, c.reason(err)
		}
		if until := c.until.Load(); until != 0 && int64(now.Sub(start)) >= until {
			c.set.gaveUp(c.asked.Load())
			return n, c.reason(err)
		}
		if wait > 0 {
			c.set.Silent(time.Unix(0, c.asked.Load()))
			wait = min(2*wait, maxWait)
		}
		if err := c.Conn.SetReadDeadline(c.sooner(now, wait)); err != nil {
			return 0, c.reason(err)
		}
		if c.tap.Load() != nil { // its waking may just have been undone
			return 0, nil
		}
	}
}

// firstReply sees the first bytes that follow a request.
func (c *Conn) firstReply(p []byte) {
	if p[0] == '-' && c.set.Refusal != nil {
		if end := bytes.IndexByte(p, '\r'); end > 0 {
			c.set.Refusal(string(p[1:end]))
		}
	}
	if c.watch.Load() == unwatching {
		c.unwatched(p)
	}
}

// Write sends p, unless the connection is known to be of no use before the first byte is sent.
func (c *Conn) Write(p []byte) (int, error) {
	if t := c.tap.Load(); t != nil {
		return t.write(p)
	}
	// Loads first: a swap costs as much as all the rest of this.
	taken, replied := c.taken.Load(), c.turn.Load()
	if taken {
		c.taken.Store(false)
	}
	if replied {
		c.turn.Store(false)
		if c.spent.Load() || (taken || c.asked.Load() == c.heard.Load()) && c.ended() {
			if taken && c.killed.Load() == nil {
				return 0, ErrStale
			}
			return 0, c.reason(ErrStale)
		}
		if c.gate != nil && !begins(p) {
			if err := c.gate(p); err != nil {
				return 0, err
			}
		}
		c.first.Store(true)
		if notable(p) {
			c.request(p)
			if c.set.Subscriber != nil && begins(p) {
				if s := c.set.Subscriber(c); s != nil {
					c.tapInto(s)
					return c.tap.Load().write(p)
				}
			}
		}
	}
	c.tx.sent(p, !replied)
	if len(p) >= bigWrite && c.set.Silence > 0 {
		since := time.Now()
		defer time.AfterFunc(c.set.Silence, func() { c.set.Silent(since) }).Stop()
	}
	n, err := c.Conn.Write(p)
	return n, c.reason(err)
}

// Close closes the connection.
func (c *Conn) Close() error {
	if t := c.tap.Load(); t != nil {
		t.close()
	}
	c.set.remove(c)
	return c.Conn.Close()
}

// kill closes the lowest layer: closing TLS properly would first write to a server that hangs.
func (c *Conn) kill(err error) {
	c.killed.CompareAndSwap(nil, &err)
	_ = c.raw.Close()
}

// reason returns why the connection was killed in place of what that made of its next operation.
func (c *Conn) reason(err error) error {
	if err == nil {
		return nil
	}
	if why := c.killed.Load(); why != nil {
		return *why
	}
	if c.set.Failed != nil {
		return c.set.Failed(err)
	}
	return err
}

// ended reports whether the server has closed the connection, where go-redis' pool cannot see it
// because the socket is a layer below. An end that was announced, by an alert of TLS, stands in the
// socket as bytes, with the end itself behind them: reading is the only way to tell it from a push
// or a session ticket. Nobody reads between a reply and the next request, but for a full duplex, whose
// reader may begin to wait at this moment: it gets a deadline back.
func (c *Conn) ended() bool {
	if c.peek == nil || !c.readMu.TryLock() {
		return false
	}
	defer c.readMu.Unlock()
	asked := c.asked.Load()
	defer func() {
		if c.asked.Load() != asked {
			_ = c.Conn.SetReadDeadline(time.Now().Add(max(c.set.Silence, time.Second)))
		}
	}()
	_ = c.Conn.SetReadDeadline(time.Time{}) // one that has passed would fail the look itself
	for wait := 2 * time.Millisecond; ; wait *= 2 {
		pending, gone := peek(c.peek)
		if gone {
			return true
		}
		if !pending || wait > 20*time.Millisecond {
			return false
		}
		var buf [512]byte
		_ = c.Conn.SetReadDeadline(time.Now().Add(wait))
		n, err := c.Conn.Read(buf[:])
		_ = c.Conn.SetReadDeadline(time.Time{})
		c.pushed = append(c.pushed, buf[:n]...)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return true
		}
	}
}
