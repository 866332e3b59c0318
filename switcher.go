package fallback

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback/health"
)

// Backend is one of the two servers.
type Backend uint8

// The two servers.
const (
	// Primary is the server behind the client that carries the hook.
	Primary Backend = iota
	// Local is the server given to New.
	Local
)

func (b Backend) String() string {
	switch b {
	case Primary:
		return "primary"
	case Local:
		return "local"
	}
	return "Backend(" + strconv.Itoa(int(b)) + ")"
}

// Reason says why a server serves.
type Reason string

// The reasons.
const (
	ReasonStart     Reason = "start"     // nothing has happened yet
	ReasonQuota     Reason = "quota"     // the primary refused for a limit
	ReasonStorage   Reason = "storage"   // its storage is full, with WithTripOnStorage
	ReasonOutage    Reason = "outage"    // it is gone, or hangs
	ReasonPinned    Reason = "pinned"    // an operator said so
	ReasonRecovered Reason = "recovered" // the primary is well again
)

// Event is one switch.
type Event struct {
	Epoch    uint64 // counts the switches of this hook
	From, To Backend
	Reason   Reason
	Cause    error         // the primary's error that led to a trip; nil otherwise
	At       time.Time     // when it happened
	Lasted   time.Duration // how long From had served
}

// era is a time in which one server serves. It is never changed; a switch puts another in its place.
// A command carries the era it was issued in, so that what it meets later is held against the right
// one: a refusal that arrives after a return does not trip again.
type era struct {
	epoch   uint64
	term    uint64 // counts the eras that another server began to serve with
	serving Backend
	reason  Reason
	cause   error // why the primary does not serve
	since   time.Time
	pinned  bool
	shut    atomic.Bool   // the set-up of a connection has been refused
	cursors *cursors      // given by the server since it began to serve
	ended   chan struct{} // closed when the next era has begun
}

// refusal is what a command gets that must not be answered by local.
func (e *era) refusal() error {
	if e.cause == nil {
		return ErrPinned
	}
	return e.cause
}

// undialed reports an era in which connections to the primary are not even tried: it is gone, or
// refuses their set-up.
func (e *era) undialed() bool {
	return e.serving == Local && (e.reason == ReasonOutage || e.shut.Load())
}

// trip leaves the primary, if e still lasts, nobody has pinned it, and local answers. It returns the
// era that holds then.
func (h *Hook) trip(ctx context.Context, e *era, reason Reason, cause error) *era {
	cur := h.era.Load()
	if cur != e || e.serving != Primary || e.pinned || h.sameServer.Load() || h.down.Load() {
		return cur
	}
	// One at a time asks local; the others wait for what becomes of it.
	select {
	case h.tripping <- struct{}{}:
		defer func() { <-h.tripping }()
	case <-e.ended:
		return h.era.Load()
	case <-ctx.Done():
		return h.era.Load()
	}
	if h.era.Load() != e || !h.localAnswers() || h.sameServer.Load() {
		return h.era.Load()
	}
	sign := health.Silent
	if reason != ReasonOutage {
		sign = health.Refused
	}
	h.mu.Lock()
	next, ok := h.changeLocked(e, Local, reason, cause, false)
	if ok {
		h.scheduleProbeLocked(h.plan.Leave(next.since, sign))
		h.trips.Add(1)
	}
	h.mu.Unlock()
	if ok && reason == ReasonOutage {
		h.leftBehind()
	}
	return h.era.Load()
}

// giveBack returns to the primary, if e still lasts.
func (h *Hook) giveBack(e *era, reason Reason) bool {
	h.mu.Lock()
	_, ok := h.changeLocked(e, Primary, reason, nil, false)
	h.mu.Unlock()
	if ok {
		h.primary.breaker.Reset()
		h.returns.Add(1)
	}
	return ok
}

// changeLocked is the only writer of era.
func (h *Hook) changeLocked(from *era, to Backend, reason Reason, cause error, pinned bool) (*era, bool) {
	if h.era.Load() != from {
		return nil, false
	}
	now := time.Now()
	next := &era{
		epoch: from.epoch + 1, serving: to, reason: reason, cause: cause,
		since: now, pinned: pinned, ended: make(chan struct{}),
		term: from.term, cursors: from.cursors,
	}
	if to != from.serving {
		next.term++
		next.cursors = &cursors{}
	}
	if h.probeTimer != nil {
		h.probeTimer.Stop()
	}
	h.probeAt = time.Time{}
	h.era.Store(next)
	close(from.ended)
	if from.serving != to {
		h.ears.told.put(to)
	}
	if from.serving != to || from.pinned != pinned {
		ev := Event{
			Epoch: next.epoch, From: from.serving, To: to, Reason: reason, Cause: cause,
			At: now, Lasted: now.Sub(from.since),
		}
		h.log.put(ev)
		if len(h.cfg.onSwitch) > 0 {
			h.announce.put(ev)
		}
	}
	return next, true
}

// Pin holds the service on b, whatever happens, until Unpin. Pinning Primary means that nothing trips.
func (h *Hook) Pin(b Backend) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.era.Load()
	if h.off || e.pinned && e.serving == b {
		return
	}
	cause := e.cause
	if b == Primary {
		cause = nil
	}
	h.changeLocked(e, b, ReasonPinned, cause, true)
}

// Unpin ends Pin. A service that was held on local returns once probes of the primary, which begin at
// once, are good.
func (h *Hook) Unpin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.era.Load()
	if !e.pinned {
		return
	}
	h.changeLocked(e, e.serving, ReasonPinned, e.cause, false)
	if e.serving == Local {
		h.plan.Leave(time.Now(), health.Silent)
		h.scheduleProbeLocked(0)
	}
}

// Serving returns the server that answers at this moment.
func (h *Hook) Serving() Backend { return h.era.Load().serving }

// log writes the one line of a switch.
func (h *Hook) logSwitch(ev Event) {
	attrs := []slog.Attr{
		slog.String("from", ev.From.String()),
		slog.String("to", ev.To.String()),
		slog.String("primary", h.cfg.name),
		slog.String("reason", string(ev.Reason)),
		slog.Duration("after", ev.Lasted.Round(time.Millisecond)),
		slog.Uint64("epoch", ev.Epoch),
	}
	if limit, ok := errors.AsType[*LimitError](ev.Cause); ok {
		attrs = append(attrs, slog.String("limit_kind", string(limit.Kind)),
			slog.Int64("limit", limit.Limit), slog.Int64("usage", limit.Usage))
	}
	if ev.Cause != nil {
		attrs = append(attrs, slog.String("error", plainText(ev.Cause)))
	}
	level, text := slog.LevelInfo, "redis fallback: the primary serves again"
	if ev.To == Local {
		level, text = slog.LevelWarn, "redis fallback: switched to local"
	}
	if ev.From == ev.To {
		text = "redis fallback: pin changed"
	}
	h.cfg.logger.LogAttrs(context.Background(), level, text, attrs...)
}
