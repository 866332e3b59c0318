package fallback

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis/go-redis/v9"
)

// dialTarget is how a fresh connection to a server is made.
type dialTarget struct {
	network, addr string
	next          redis.DialHook
	fastest       atomic.Int64 // ns that the quickest dial took
}

// dialsEach is how often go-redis dials for one attempt, before it gives the error to a command.
const dialsEach = 5

// isDial reports the error of a dial that no DialHook of ours has seen: that of a cluster's node.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// seen tells the first look at something from the next ones.
type seen struct{ n atomic.Int32 }

func (s *seen) again() bool { return s.n.Add(1) > 1 }

// dialing returns the dialer of a client of the primary, whose instance it tells that it dials.
func (h *Hook) dialing(next redis.DialHook, in *instance) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if in != nil {
			in.dialed()
		}
		return h.dial(ctx, network, addr, next)
	}
}

// dial makes a connection to the primary. It hears of dials that fail before any command does: five
// in a row end here, while go-redis would go on with its twenty.
func (h *Hook) dial(ctx context.Context, network, addr string, next redis.DialHook) (net.Conn, error) {
	target := h.primary.target(network, addr, next)
	if h.era.Load().undialed() && h.probing.Load() == 0 {
		return h.notDialed(addr), nil
	}
	type result struct {
		conn net.Conn
		err  error
	}
	e := h.era.Load()
	issued, began := e, time.Now()
	done := make(chan result, 1)
	// A dial over TLS does not listen to its context.
	go func() {
		conn, err := next(ctx, network, addr)
		done <- result{conn, err}
	}()
	abandon := func() {
		go func() {
			if r := <-done; r.conn != nil {
				_ = r.conn.Close()
			}
		}()
	}
	var silence <-chan time.Time
	if h.cfg.silence > 0 {
		t := time.NewTimer(h.cfg.silence)
		defer t.Stop()
		silence = t.C
	}
	for {
		select {
		case r := <-done:
			if r.err == nil && r.conn != nil {
				target.took(time.Since(began))
				h.primary.nodes.failed.Store(0)
				h.primary.end.Store(&endpoint{addr, r.conn.RemoteAddr()})
				h.compareServers()
				return h.primary.conns.WrapGated(r.conn, h.gate(h.era.Load())), nil
			}
			if r.err == nil {
				r.err = errNoConn
			}
			return h.dialFailed(ctx, issued, addr, r.err)
		case <-silence:
			h.suspect(&h.primary, began)
		case <-e.ended:
			if h.era.Load().undialed() && h.probing.Load() == 0 {
				abandon()
				return h.notDialed(addr), nil
			}
			e = h.era.Load()
		case <-ctx.Done():
			abandon()
			return nil, ctx.Err()
		}
	}
}

// dialFailed counts a dial against the era it was begun in: one that a return has overtaken says nothing
// of a primary that is back.
func (h *Hook) dialFailed(ctx context.Context, e *era, addr string, err error) (net.Conn, error) {
	if ctx.Err() != nil {
		return nil, err
	}
	h.primary.undialed.Add(1)
	marked := &dialError{err: err, era: e}
	if h.onNodes.Load() {
		return h.nodeUnreachable(ctx, e, addr, err)
	}
	if h.era.Load() == e && e.serving == Primary {
		// The trip may take until local has answered; the caller's own time does not end the dial.
		h.primaryFailed(context.WithoutCancel(ctx), e, err)
	}
	if h.era.Load().undialed() && h.probing.Load() == 0 {
		return h.notDialed(addr), nil
	}
	return nil, marked
}

// target remembers the way to the server.
func (s *side) target(network, addr string, next redis.DialHook) *dialTarget {
	if t := s.dialed.Load(); t != nil && t.network == network && t.addr == addr {
		return t
	}
	t := &dialTarget{network: network, addr: addr, next: next}
	if s.dialed.CompareAndSwap(nil, t) {
		return t
	}
	return s.nodes.get(network, addr, next)
}

// endpoint is where a connection was meant to lead, and where it led.
type endpoint struct {
	addr   string
	remote net.Addr
}

// compareServers notices that both clients lead to one server. Either half alone proves nothing:
// many hosted databases share one address and are told apart by name, and a custom dialer need not
// look at the name.
func (h *Hook) compareServers() {
	p, l := h.primary.end.Load(), h.backup.end.Load()
	if p == nil || l == nil || p.remote == nil || l.remote == nil || p.remote.Network() == "pipe" ||
		!sameAddr(p.addr, l.addr) || p.remote.String() != l.remote.String() || h.sameServer.Swap(true) {
		return
	}
	h.cfg.logger.Error("redis fallback: primary and local are the same server; nothing will ever switch", "addr", p.addr)
}

func (t *dialTarget) took(d time.Duration) {
	if old := t.fastest.Load(); old == 0 || int64(d) < old {
		t.fastest.Store(int64(d))
	}
}

// localHook watches the connections of local.
type localHook struct{ h *Hook }

func (l localHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		target, began := l.h.backup.target(network, addr, next), time.Now()
		conn, err := next(ctx, network, addr)
		if err != nil {
			if ctx.Err() == nil {
				l.h.backup.breaker.Record(breaker.Failure)
				l.h.backup.failure(err)
				l.h.backup.undialed.Add(1)
			}
			return nil, err
		}
		target.took(time.Since(began))
		l.h.backup.end.Store(&endpoint{addr, conn.RemoteAddr()})
		l.h.compareServers()
		return l.h.backup.conns.Wrap(conn), nil
	}
}

func (localHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (localHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// answersPing reports whether the server answers a PING on a fresh connection in time. Any answer
// is one: NOAUTH is, and so is a refusal.
func (t *dialTarget) answersPing(timeout time.Duration) bool { return t.ping(timeout) == nil }

// ping is answersPing with what went wrong. A connection alone would prove nothing: that of a server
// which is just dying is still accepted.
func (t *dialTarget) ping(timeout time.Duration) error {
	timeout += time.Duration(t.fastest.Load()) // what a dial takes anyway
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	deadline := time.Now().Add(timeout)
	return within(ctx, func() error {
		conn, err := t.next(ctx, t.network, t.addr)
		if err != nil {
			return err
		}
		if conn == nil {
			return errNoConn
		}
		defer conn.Close()
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
		if _, err := conn.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
			return err
		}
		var b [1]byte
		if n, err := conn.Read(b[:]); n == 0 {
			return err
		}
		return nil
	})
}

// errNoConn is about a dialer that fails without saying so.
var errNoConn = errors.New("redis fallback: the dialer returned no connection")
