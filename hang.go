package fallback

import (
	"context"
	"time"
)

// suspect is told by a connection that somebody has been waiting on it since then. A server that is
// slow answers a PING on a fresh connection, one that hangs does not. Reads go on meanwhile.
func (h *Hook) suspect(s *side, since time.Time) {
	if h.down.Load() || s.conns.HeardSince(since) {
		return
	}
	alive := time.Unix(0, s.alive.Load())
	if alive.After(since) && time.Since(alive) < h.cfg.silence {
		return
	}
	h.lookAt(s)
}

// lookAt checks a server beside its callers, unless somebody is at it.
func (h *Hook) lookAt(s *side) {
	if !s.checking.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer s.checking.Store(false)
		h.checkHang(s)
	}()
}

// leftBehind ends what still waits on a primary that was left for an outage, if it is as dead as it seems
// to be. Nobody else would look at a connection that blocks before its turn comes, which may be half a
// minute; and where nothing was silent, but no new connection could be made, nobody would at all.
func (h *Hook) leftBehind() {
	if h.cfg.silence > 0 && h.primary.conns.Len() > 0 {
		h.lookAt(&h.primary)
	}
}

// checkHang tells a hung server from a slow one, and ends what hangs.
func (h *Hook) checkHang(s *side) {
	t := s.dialed.Load()
	if t == nil {
		return
	}
	began := time.Now()
	e := h.era.Load()
	if s.answersPing(t, h.cfg.pingTimeout) || s.conns.HeardSince(began) {
		s.alive.Store(time.Now().UnixNano())
		return
	}
	if s == &h.primary && e.undialed() { // left already, and that has been counted
		if h.era.Load() == e {
			s.conns.Kill(errHung)
		}
		return
	}
	s.failure(hungError(t.network))
	s.breaker.Trip()
	if s == &h.backup {
		s.conns.Kill(errHung)
		h.localFailed()
		return
	}
	// With nobody else to serve, the client's own time-outs are the better judge.
	if cur := h.trip(context.Background(), e, ReasonOutage, hungError(t.network)); cur.serving == Local {
		s.conns.Kill(errHung)
	}
}

// seenRefusal is a limit seen on the wire.
type seenRefusal struct {
	at    time.Time
	limit *LimitError
}

// sawRefusal remembers a limit refusal that go-redis may hand to its caller as a value.
func (h *Hook) sawRefusal(text string) {
	if limitKind(text) == "" {
		return
	}
	err := replyError(text)
	if h.verdict(nil, err) == Limit {
		h.refusal.Store(&seenRefusal{time.Now(), newLimitError(err)})
	}
}
