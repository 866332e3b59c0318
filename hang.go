package fallback

import (
	"context"
	"time"
)

// suspect is told by a connection that somebody has been waiting on it since then. A server that is
// slow answers a PING on a fresh connection, one that hangs does not. Reads go on meanwhile.
func (h *Hook) suspect(since time.Time) {
	if h.down.Load() || h.primary.conns.HeardSince(since) {
		return
	}
	alive := time.Unix(0, h.primarySeen.Load())
	if alive.After(since) && time.Since(alive) < h.cfg.silence {
		return
	}
	if !h.checking.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer h.checking.Store(false)
		h.checkHang()
	}()
}

// checkHang tells a hung primary from a slow one, and ends what hangs.
func (h *Hook) checkHang() {
	t := h.dialed.Load()
	if t == nil {
		return
	}
	began := time.Now()
	e := h.era.Load()
	if t.answersPing(h.cfg.pingTimeout) || h.primary.conns.HeardSince(began) {
		h.primarySeen.Store(time.Now().UnixNano())
		return
	}
	h.primary.failure(hungError(t.network))
	h.primary.breaker.Trip()
	cur := h.trip(context.Background(), e, ReasonOutage, hungError(t.network))
	if cur.serving == Local {
		h.primary.conns.Kill(errHung)
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
