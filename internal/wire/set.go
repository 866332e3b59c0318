// Package wire wraps the network connections of a go-redis client, to learn what go-redis does not
// tell a hook: that a connection was closed by the server while it was idle, that a server has gone
// silent, that a transaction was refused at its MULTI and ran all the same. It needs no goroutine of
// its own, and reads and writes cost a few atomic operations more.
package wire

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Set is the connections of one server. Its fields are set before the first Wrap.
type Set struct {
	// Silence is how long a reader waits before Silent is called; 0 never calls it. It is called
	// again, at growing intervals, while the silence lasts.
	Silence time.Duration
	// Silent is told since when a reader has been waiting. It must not block.
	Silent func(since time.Time)
	// Refusal is given the text of an error reply that stands first after a request. It must not
	// block.
	Refusal func(text string)
	// Failed may put another error in the place of one that a read or a write ends with. A write on a
	// connection that was just taken from the pool, so that nothing else is under way on it, and of
	// which nothing was sent, is not given to it.
	Failed func(err error) error
	// Subscriber is asked for what takes over a connection whose client is about to subscribe; nil
	// leaves it alone.
	Subscriber func(*Conn) Subscriber

	mu    sync.Mutex
	conns map[*Conn]struct{}
	made  atomic.Int64
	quiet atomic.Int64 // since when readers have given up, with nothing heard on any connection; 0: heard
}

// gaveUp sees a reader whose own deadline was shorter than Silence. One says nothing; a row of them,
// with no reply between, is a silence too.
func (s *Set) gaveUp(asked int64) {
	s.quiet.CompareAndSwap(0, asked)
	since := time.Unix(0, s.quiet.Load())
	if s.Silence > 0 && time.Since(since) >= s.Silence && since.UnixNano() != 0 {
		s.Silent(since)
	}
}

// Wrap returns c with the watching around it. The result has SyscallConn or NetConn exactly where c
// has them: go-redis checks idle connections through the one and pushes through the other.
func (s *Set) Wrap(c net.Conn) net.Conn { return s.WrapGated(c, nil) }

// WrapGated is Wrap with a gate that is asked about each request before its first byte is sent, given
// as it is written. Its error is that of the write, and nothing is sent.
func (s *Set) WrapGated(c net.Conn, gate func(request []byte) error) net.Conn {
	w := &Conn{Conn: c, set: s, raw: c, gate: gate}
	s.mu.Lock()
	if s.conns == nil {
		s.conns = map[*Conn]struct{}{}
	}
	s.conns[w] = struct{}{}
	s.mu.Unlock()
	s.made.Add(1)

	if sc, ok := c.(syscall.Conn); ok {
		return &plainConn{w, sc}
	}
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		w.raw = t.NetConn()
		if sc, ok := w.raw.(syscall.Conn); ok {
			w.peek, _ = sc.SyscallConn()
		}
		return &layeredConn{w, t}
	}
	return w
}

// Len returns the number of open connections.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Dialed returns how many connections were ever made.
func (s *Set) Dialed() int64 { return s.made.Load() }

// HeardSince reports whether a request sent at or after t, on any connection, has had a reply.
func (s *Set) HeardSince(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.heard.Load() >= t.UnixNano() {
			return true
		}
	}
	return false
}

// Kill closes every connection. What waits on one returns now, with err.
func (s *Set) Kill(err error) {
	s.mu.Lock()
	all := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.kill(err)
	}
}

func (s *Set) remove(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// plainConn keeps the door through which go-redis' pool looks at the socket.
type plainConn struct {
	*Conn
	sys syscall.Conn
}

// SyscallConn refuses a connection that must not be reused, or on which somebody has left a WATCH or a
// subscription, so that the pool closes it: it asks for it when it hands out a connection, not between the commands of
// one holder.
func (c *plainConn) SyscallConn() (syscall.RawConn, error) {
	if c.spent.Load() || c.watch.Load() != unwatched || c.tap.Load() != nil {
		return nil, ErrStale
	}
	return c.sys.SyscallConn()
}

// layeredConn is a connection inside another one, as TLS is.
type layeredConn struct {
	*Conn
	inner interface{ NetConn() net.Conn }
}

// NetConn returns the connection below; none while a Subscriber reads from it.
func (c *layeredConn) NetConn() net.Conn {
	if c.tap.Load() != nil {
		return nil
	}
	return c.inner.NetConn()
}
