package fallback

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback/health"
	"github.com/redis-fallback/fallback/internal/journal"
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

	from origin
	lost time.Duration // in switching, by this process; -1 if it only heard of the switch
	pin  string        // where an operator holds the service; "" nowhere
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
	pinned  bool            // held where it is
	fence   string          // what stands on local while the primary serves; "" while it does not
	rec     *journal.Record // what all processes of local agree on; nil where there is no journal
	closing bool            // the journal is shut: what writes waits
	shutAt  time.Time       // since when, as this process has heard
	adrift  bool            // local, which has the record, is gone
	shut    atomic.Bool     // the set-up of a connection has been refused
	cursors *cursors        // given by the server since it began to serve
	ended   chan struct{}   // closed when the next era has begun
}

// leaving reports an era that an operator wants to end as soon as that loses nothing.
func (e *era) leaving() bool { return e.rec != nil && e.rec.Pin != "" && !e.pinned }

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
	from := originIn(ctx)
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
	if s := h.share; s != nil && s.off.Load() != nil && !h.cluster.Load() {
		s.lookAgain()
	}
	if s := h.journal(); s != nil {
		if cur, done := s.trip(ctx, e, reason, meeting{cause, from}); done {
			return cur
		}
	}
	h.mu.Lock()
	next, ok := h.changeLocked(e, turn{to: Local, reason: reason, cause: cause, from: from})
	if ok {
		h.scheduleProbeLocked(h.plan.Leave(next.since, leftFor(reason)))
		h.trips.Add(1)
	}
	h.mu.Unlock()
	if ok && reason == ReasonOutage {
		h.leftBehind()
	}
	return h.era.Load()
}

// leftFor is the sign under which the primary was left.
func leftFor(reason Reason) health.Sign {
	if reason == ReasonOutage {
		return health.Silent
	}
	return health.Refused
}

// giveBack returns to the primary, if e still lasts.
func (h *Hook) giveBack(e *era, reason Reason) bool {
	h.mu.Lock()
	_, ok := h.changeLocked(e, turn{to: Primary, reason: reason})
	h.mu.Unlock()
	if ok {
		h.primary.breaker.Reset()
		h.returns.Add(1)
	}
	return ok
}

// turn is what an era is replaced by.
type turn struct {
	to     Backend
	reason Reason
	cause  error
	pinned bool
	rec    *journal.Record
	adrift bool
	from   origin
}

// meeting is what led this process to a switch, and where it met it.
type meeting struct {
	cause error
	from  origin
}

// changeLocked is the only writer of era.
func (h *Hook) changeLocked(from *era, t turn) (*era, bool) {
	if h.era.Load() != from {
		return nil, false
	}
	now := time.Now()
	next := &era{
		epoch: from.epoch + 1, serving: t.to, reason: t.reason, cause: t.cause,
		since: now, pinned: t.pinned, ended: make(chan struct{}),
		term: from.term, cursors: from.cursors,
		rec: t.rec, closing: t.rec != nil && t.rec.Serving == journal.Closing, adrift: t.adrift,
	}
	if t.to == Primary && t.rec != nil && t.rec.Serving == journal.Primary && !t.adrift {
		next.fence = t.rec.Fence()
	}
	if next.closing {
		if next.shutAt = from.shutAt; !from.closing {
			next.shutAt = now
		}
	}
	told := from.serving != t.to || from.pinned != t.pinned && !next.leaving()
	switch {
	case t.to != from.serving:
		next.term++
		next.cursors = &cursors{}
	case !told: // only the record has changed
		next.epoch, next.since = from.epoch, from.since
		next.shut.Store(from.shut.Load())
	}
	if told {
		if h.probeTimer != nil {
			h.probeTimer.Stop()
		}
		h.probeAt = time.Time{}
	}
	h.era.Store(next)
	close(from.ended)
	if h.share != nil && h.share.mirror != nil && next.fence != from.fence {
		h.share.mirror.Switch()
	}
	if from.serving != t.to {
		h.switches.Add(1)
		h.ears.told.put(t.to)
	}
	if told {
		ev := Event{
			Epoch: next.epoch, From: from.serving, To: t.to, Reason: t.reason, Cause: t.cause,
			At: now, Lasted: now.Sub(from.since),
			from: t.from, lost: t.lost(from, now), pin: t.pin(),
		}
		h.rememberLocked(ev)
		h.log.put(ev)
		if len(h.cfg.onSwitch) > 0 {
			h.announce.put(ev)
		}
	}
	return next, true
}

// lost is how long calls waited for the switch: from the refusal, or the failure, that this process met
// until local serves; and while the journal was shut, before the primary does.
func (t *turn) lost(before *era, now time.Time) time.Duration {
	switch {
	case t.to == Local && t.from.began.IsZero():
		return -1
	case t.to == Local:
		return now.Sub(t.from.began)
	case before.closing:
		return now.Sub(before.shutAt)
	}
	return 0
}

// pin is where an operator wants the service held.
func (t *turn) pin() string {
	switch {
	case t.rec != nil:
		return string(t.rec.Pin)
	case t.pinned:
		return t.to.String()
	}
	return ""
}

// Serving returns the server that answers at this moment.
func (h *Hook) Serving() Backend { return h.era.Load().serving }

// logSwitch writes the one line of a switch, and its span.
func (h *Hook) logSwitch(ev Event) {
	ctx := h.switchSpan(ev)
	attrs := []slog.Attr{
		slog.String("from", ev.From.String()),
		slog.String("to", ev.To.String()),
		slog.String("primary", h.cfg.name),
		slog.String("reason", string(ev.Reason)),
		slog.Duration("after", ev.Lasted.Round(time.Millisecond)),
		slog.Uint64("epoch", ev.Epoch),
	}
	if ev.From != ev.To && ev.lost >= 0 {
		attrs = append(attrs, slog.Duration("took", ev.lost.Round(time.Microsecond)))
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
	if ev.Reason == ReasonPinned {
		attrs = append(attrs, slog.String("pin", cmp.Or(ev.pin, "none")))
	}
	h.cfg.logger.LogAttrs(ctx, level, text, attrs...)
}
