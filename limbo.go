package fallback

import (
	"bytes"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
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

	mu      sync.Mutex
	request wire.Splitter
	replies []byte
	until   time.Time
	changed chan struct{} // holds one when until has changed
	closed  chan struct{}
	once    sync.Once
}

// notDialed returns a connection that leads nowhere.
func (h *Hook) notDialed(addr string) net.Conn {
	return h.limbos.Wrap(&limbo{addr: addr, changed: make(chan struct{}, 1), closed: make(chan struct{})})
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
		case setsUp(string(args[0])):
			l.replies = append(l.replies, "+OK\r\n"...)
		default:
			return 0, errNotDialed
		}
	}
}

// gate returns what is asked about each request on a connection that is made in this era. While the
// primary is not to be looked at, a connection is made for a probe or a subscriber, and who finds one in
// the pool is a straggler: a call that was on its way when the primary went. Its place is local, which
// serves, also if the primary is just back.
func (h *Hook) gate(e *era) func([]byte) error {
	if !e.undialed() {
		return nil
	}
	probe := []byte(h.cfg.probeKey)
	return func(request []byte) error {
		if !h.era.Load().undialed() {
			return nil
		}
		name := string(wire.RequestName(request))
		switch {
		case setsUp(name), strings.EqualFold(name, "hello"), findsNodes(name):
		case strings.EqualFold(name, "set") && bytes.Contains(request, probe):
		case h.onConnect.has(name): // what the program's OnConnect sends belongs to the set-up
		default:
			return errNotDialed
		}
		return nil
	}
}

// settingUp knows what is under way to set up a connection, by the names of the commands.
type settingUp struct {
	mu    sync.Mutex
	names map[string]int
}

// sends notes commands, and returns what takes the note away.
func (s *settingUp) sends(cmds ...redis.Cmder) (done func()) {
	note := func(n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.names == nil {
			s.names = map[string]int{}
		}
		for _, cmd := range cmds {
			s.names[cmd.Name()] += n
		}
	}
	note(1)
	return func() { note(-1) }
}

func (s *settingUp) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[strings.ToLower(name)] > 0
}

// findsNodes reports what a cluster's client asks to know its nodes, without which no probe finds one.
func findsNodes(name string) bool {
	switch strings.ToLower(name) {
	case "cluster", "command", "ping", "asking":
		return true
	}
	return false
}

func setsUp(name string) bool {
	switch strings.ToLower(name) {
	case "auth", "client", "select", "readonly":
		return true
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
