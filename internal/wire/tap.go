package wire

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Subscriber takes over a connection on which its client has begun to subscribe. From then on what
// the client writes, and what the server says, goes through it: both may be told something else.
// Frame and Gone are called from one goroutine, Command from the client's.
type Subscriber interface {
	// Command is given one command of the client: its arguments, and as it was written.
	Command(args [][]byte, raw []byte) error
	// Frame is given one reply or message of the server. It may keep it.
	Frame(frame []byte)
	// Gone is called when the server's side has ended.
	Gone(err error)
	// Closed is called when the client has closed the connection.
	Closed()
}

// maxWaiting bounds the bytes that wait for a client that does not read: as a server does, the
// messages are held back first, and a client that stays behind is cut off.
const maxWaiting = 32 << 20

// sendTimeout bounds a write of a Subscriber's own.
const sendTimeout = 5 * time.Second

// ErrSlow ends a subscriber that does not read what it is sent.
var ErrSlow = errors.New("redis: a subscriber does not read its messages; it was cut off")

// tap is the client's side of a connection that a Subscriber has taken over.
type tap struct {
	s       Subscriber
	request Splitter

	mu     sync.Mutex
	out    []byte // for the client
	end    error  // after out
	until  time.Time
	wake   chan struct{} // holds one when something has changed
	room   *sync.Cond    // out has been read, or nobody will any more
	closed bool
}

// begins reports whether a request makes a subscriber of its connection.
func begins(p []byte) bool {
	name := RequestName(p)
	switch len(name) {
	case 9:
		return bytes.EqualFold(name, []byte("subscribe"))
	case 10:
		return bytes.EqualFold(name, []byte("psubscribe")) || bytes.EqualFold(name, []byte("ssubscribe"))
	}
	return false
}

// tapInto lets a Subscriber take the connection over. A reader that is waiting is woken, and goes on
// in readTap.
func (c *Conn) tapInto(s Subscriber) {
	t := &tap{s: s, wake: make(chan struct{}, 1), until: c.limit()}
	t.room = sync.NewCond(&t.mu)
	c.tap.Store(t)
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
	go c.listen(t)
}

// listen reads what the server says until its side ends.
func (c *Conn) listen(t *tap) {
	c.readMu.Lock() // when the reader that was woken has left
	in := c.pushed
	c.pushed = nil
	c.readMu.Unlock() // or one that has just missed the tap would wait here, for ever
	buf := make([]byte, 16<<10)
	for {
		for len(in) > 0 {
			n := replyLen(in)
			if n == 0 {
				break
			}
			t.s.Frame(bytes.Clone(in[:n]))
			in = in[n:]
		}
		if len(in) > maxWaiting {
			t.s.Gone(ErrSlow)
			return
		}
		n, err := c.hear(buf)
		in = append(in, buf[:n]...)
		if n == 0 && err != nil {
			t.s.Gone(c.reason(err))
			return
		}
	}
}

// hear waits for the server, however long it takes, and says when it is silent.
func (c *Conn) hear(p []byte) (int, error) {
	for wait := c.set.Silence; ; wait = min(2*wait, maxWait) {
		var until time.Time
		now := time.Now()
		c.asked.Store(now.UnixNano())
		if wait > 0 {
			until = now.Add(wait)
		}
		if err := c.Conn.SetReadDeadline(until); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(p)
		if n > 0 {
			c.heard.Store(c.asked.Load())
			c.set.quiet.Store(0)
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.killed.Load() != nil {
			return 0, err
		}
		if wait > 0 { // else it was the deadline of a reader who had not seen the tap yet
			c.set.Silent(now)
		}
	}
}

// Send writes to the server, past the Subscriber.
func (c *Conn) Send(raw []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(sendTimeout))
	_, err := c.Conn.Write(raw)
	return c.reason(err)
}

// Deliver hands something to the client. wait holds the caller back while the client has too much
// unread; without it such a client is cut off.
func (c *Conn) Deliver(frame []byte, wait bool) {
	t := c.tap.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	for wait && len(t.out) > maxWaiting/32 && !t.closed && t.end == nil {
		t.room.Wait()
	}
	if t.closed || t.end != nil {
		return
	}
	if t.out = append(t.out, frame...); len(t.out) > maxWaiting {
		t.out, t.end = nil, ErrSlow
	}
	t.signal()
}

// End gives the client an error, after all that has been delivered.
func (c *Conn) End(err error) {
	t := c.tap.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end == nil {
		t.end = err
	}
	t.room.Broadcast()
	t.signal()
}

func (t *tap) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// read is the client's Read.
func (t *tap) read(p []byte) (int, error) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		t.mu.Lock()
		until, closed := t.until, t.closed
		if len(t.out) > 0 {
			n := copy(p, t.out)
			if t.out = t.out[n:]; len(t.out) == 0 {
				t.out = nil
			}
			t.room.Broadcast()
			t.mu.Unlock()
			return n, nil
		}
		end := t.end
		t.mu.Unlock()
		switch {
		case closed:
			return 0, net.ErrClosed
		case end != nil:
			return 0, end
		}
		var late <-chan time.Time
		if !until.IsZero() {
			left := time.Until(until)
			if left <= 0 {
				return 0, os.ErrDeadlineExceeded
			}
			timer.Reset(left)
			late = timer.C
		}
		select {
		case <-t.wake:
		case <-late:
		}
	}
}

func (t *tap) setUntil(until time.Time) {
	t.mu.Lock()
	t.until = until
	t.mu.Unlock()
	t.signal()
}

// write is the client's Write: whole commands go to the Subscriber.
func (t *tap) write(p []byte) (int, error) {
	t.mu.Lock()
	end := t.end
	t.mu.Unlock()
	if end != nil {
		return 0, end
	}
	t.request.Add(p)
	for {
		args, raw, ok := t.request.Next()
		if !ok {
			return len(p), nil
		}
		if err := t.s.Command(args, raw); err != nil {
			return 0, err
		}
	}
}

func (t *tap) close() {
	t.mu.Lock()
	again := t.closed
	t.closed = true
	t.room.Broadcast()
	t.mu.Unlock()
	t.signal()
	if !again {
		t.s.Closed()
	}
}

// Splitter cuts what a client writes into commands.
type Splitter struct{ b []byte }

// Add takes the next bytes that were written.
func (s *Splitter) Add(p []byte) { s.b = append(s.b, p...) }

// Next returns the next command that is all there: its arguments, and as it was written.
func (s *Splitter) Next() (args [][]byte, raw []byte, ok bool) {
	n := replyLen(s.b) // a command looks like the reply of an array of strings
	if n == 0 {
		return nil, nil, false
	}
	raw, s.b = s.b[:n:n], s.b[n:]
	return Elements(raw), raw, true
}

// Elements returns the strings of an array, up to the first element that is another array.
func Elements(b []byte) [][]byte {
	_, rest, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || len(b) == 0 || (b[0] != '*' && b[0] != '>') {
		return nil
	}
	var out [][]byte
	for len(rest) > 0 {
		line, body, ok := bytes.Cut(rest, []byte("\r\n"))
		if !ok || len(line) == 0 {
			return out
		}
		n, isLen := length(line)
		switch {
		case line[0] == '$' && isLen && n >= 0 && n <= int64(len(body)-2):
			out, rest = append(out, body[:n]), body[n+2:]
		case line[0] == '$' || line[0] == '_':
			out, rest = append(out, nil), body
		case line[0] == ':' || line[0] == '+':
			out, rest = append(out, line[1:]), body
		default:
			return out
		}
	}
	return out
}

// tapped is the atomic place of a tap in a Conn.
type tapped = atomic.Pointer[tap]
