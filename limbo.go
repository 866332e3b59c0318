package fallback

import (
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis-fallback/fallback/internal/wire"
)

// limbo is a connection that was never made. go-redis repeats a dial that fails, five times with a
// pause between, and then the command; it does not repeat a write that fails with an error it does not
// know. So the one way to end its loops at once is to let the dial succeed, and the set-up of the
// connection, which it answers itself; the first command fails.
//
// Unless that is a SUBSCRIBE: who subscribes while local serves listens there, and such a connection is
// taken over before the command gets here.
type limbo struct {
	addr string
	ours func(name string) bool // what the program's OnConnect sends

	mu      sync.Mutex
	request wire.Splitter
	replies []byte
	until   time.Time
	changed chan struct{} // holds one when until has changed
	closed  chan struct{}
	once    sync.Once
}

// nowhere answers what an OnConnect sends: it is to go on, as the first command, or a subscription, is
// what the connection is for.
const nowhere = "FALLBACKNOWHERE not sent"

// saidNowhere reports such an answer.
func saidNowhere(err error) bool { return err != nil && err.Error() == nowhere }

// notDialed returns a connection that leads nowhere.
func (h *Hook) notDialed(addr string) net.Conn {
	return h.limbos.Wrap(&limbo{addr: addr, ours: h.onConnect.has, changed: make(chan struct{}, 1), closed: make(chan struct{})})
}

// Write answers the set-up of a connection, and nothing else.
func (l *limbo) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.request.Add(p)
	for {
		args, _, ok := l.request.Next()
		if !ok {
			return len(p), nil
		}
		switch {
		case len(args) == 0:
			return 0, errNotDialed
		case strings.EqualFold(string(args[0]), "hello"):
			l.replies = append(l.replies, "%1\r\n+server\r\n+none\r\n"...)
		case setsUp(args):
			l.replies = append(l.replies, "+OK\r\n"...)
		case l.ours(string(args[0])):
			l.replies = append(l.replies, "-"+nowhere+"\r\n"...)
		default:
			return 0, errNotDialed
		}
	}
}

// setsUp reports a command that a client sends on a new connection, and that is answered with OK.
func setsUp(args [][]byte) bool {
	if len(args) == 0 {
		return false
	}
	switch strings.ToLower(string(args[0])) {
	case "auth", "select", "readonly":
		return true
	case "client":
		if len(args) < 2 {
			return false
		}
		switch strings.ToLower(string(args[1])) {
		case "setname", "setinfo", "maint_notifications", "tracking", "caching", "no-evict", "no-touch":
			return true
		}
	}
	return false
}

// Read returns the replies. Beyond them, one who waits waits until the connection is closed, as on a
// server that says nothing.
func (l *limbo) Read(p []byte) (int, error) {
	for {
		l.mu.Lock()
		n, until := copy(p, l.replies), l.until
		l.replies = l.replies[n:]
		l.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		var late <-chan time.Time
		if !until.IsZero() {
			left := time.Until(until)
			if left <= 0 {
				return 0, os.ErrDeadlineExceeded
			}
			late = time.After(left)
		}
		select {
		case <-late:
		case <-l.changed:
		case <-l.closed:
			return 0, net.ErrClosed
		}
	}
}

func (l *limbo) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// SyscallConn refuses, as on a connection that has ended: the pool asks for it when it hands out a
// connection that was idle, and then closes this one.
func (*limbo) SyscallConn() (syscall.RawConn, error) { return nil, errNotDialed }

func (l *limbo) SetReadDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = t
	select {
	case l.changed <- struct{}{}:
	default:
	}
	return nil
}

func (l *limbo) SetDeadline(t time.Time) error  { return l.SetReadDeadline(t) }
func (*limbo) SetWriteDeadline(time.Time) error { return nil }
func (l *limbo) LocalAddr() net.Addr            { return noAddr(l.addr) }
func (l *limbo) RemoteAddr() net.Addr           { return noAddr(l.addr) }

type noAddr string

func (noAddr) Network() string  { return "tcp" }
func (a noAddr) String() string { return string(a) }
