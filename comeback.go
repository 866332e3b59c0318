package fallback

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis-fallback/fallback/internal/journal"
)

// comeBack brings the service back to the primary: the journal is delivered while local still answers,
// then shut, its last entries delivered, and the primary serves, for all processes at once. It reports
// whether it did.
func (s *share) comeBack(ctx context.Context) bool {
	select {
	case s.coming <- struct{}{}:
		defer func() { <-s.coming }()
	default:
		return false
	}
	h := s.h
	began := time.Now()
	if !h.prepareReturn() {
		s.later(nil, 0)
		return false
	}
	d, done, err := s.drainer(ctx)
	if err != nil {
		s.later(err, 0)
		return false
	}
	defer done()
	s.delivering.Store(true)
	defer s.delivering.Store(false)
	reason := ReasonRecovered
	if h.era.Load().leaving() {
		reason = ReasonPinned
	}
	ctx, span := h.drainSpan(ctx, true)
	s.heading.Store(&origin{began, span.context()})
	defer s.heading.Store(nil)
	var p journal.Progress
	v, err := d.Return(ctx, journal.Options{
		Budget: s.budget(), Reason: string(reason), Progress: func(now journal.Progress) { p = now },
	})
	s.drained(p)
	span.endDrain(ctx, p, err)
	if v.Record != nil {
		s.learn(v.Record, nil)
	}
	s.tooLate.Store(errors.Is(err, journal.ErrLate))
	switch {
	case errors.Is(err, journal.ErrHeld):
		s.later(nil, time.Second) // another process is at it
	case errors.Is(err, journal.ErrLate):
		s.later(err, time.Second)
	case err != nil:
		s.later(err, 0)
	}
	e := h.era.Load()
	return e.serving == Primary && !e.adrift
}

// drained counts what a delivery did.
func (s *share) drained(p journal.Progress) {
	s.delivered.Add(p.Entries)
	s.deliveryCost.Add(p.Commands)
}

// drainer returns what delivers, over a client of its own that done closes.
func (s *share) drainer(ctx context.Context) (d *journal.Drain, done func(), err error) {
	h := s.h
	client, err := h.primaryClient(ctx)
	if err != nil {
		return nil, nil, err
	}
	h.code.carry(ctx, Primary, client.Process)
	d = &journal.Drain{
		Store: s.store, Primary: client, ID: s.self.ID, Address: s.address(),
		Refused: func(err error) bool {
			switch h.verdict(nil, err) {
			case Limit, Capacity, Busy, Denied:
				return true
			case Unknown, Answered, Cancelled, Lost:
			}
			return false
		},
	}
	return d, func() { _ = client.Close() }, nil
}

// budget is how many commands a return may cost.
func (s *share) budget() int64 {
	switch b := s.h.cfg.journal.Budget; {
	case b > 0:
		return b
	case b < 0:
		return 0
	}
	e := s.h.era.Load()
	if limit, ok := errors.AsType[*LimitError](e.cause); ok && limit.Limit > 0 {
		return max(limit.Limit/10, 1)
	}
	return 0
}

// later sees a return fail, and sets the time of the next one.
func (s *share) later(err error, wait time.Duration) {
	h := s.h
	sign := health.Silent
	if err != nil {
		s.returnsFailed.Add(1)
		was := s.lastFault.Swap(&lastFailure{time.Now(), plainText(err)})
		sign = h.sign(err)
		level := slog.LevelInfo
		if errors.Is(err, journal.ErrOtherPrimary) || errors.Is(err, journal.ErrBudget) {
			level = slog.LevelError
		}
		// Once, however often it is tried: what the primary refuses is refused for as long as it takes.
		if was == nil || was.text != plainText(err) {
			h.cfg.logger.LogAttrs(context.Background(), level, "redis fallback: the journal could not be delivered; local goes on serving",
				slog.String("primary", h.cfg.name), slog.String("error", plainText(err)))
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.era.Load()
	if e.serving != Local || e.pinned {
		return
	}
	if sign == health.Answered {
		sign = health.Silent // it answers, but does not take the journal
	}
	next, _ := h.plan.Looked(time.Now(), sign)
	if wait == 0 {
		wait = next
	}
	if sign == health.Silent && !errors.Is(err, journal.ErrOtherPrimary) && !errors.Is(err, journal.ErrBudget) {
		wait = min(wait, h.cfg.health.Every) // the probes were good
	}
	h.scheduleProbeLocked(max(wait, 10*time.Millisecond))
}

// mayDrift reports whether this process may go on with the primary although local, which holds the
// record, is gone. That its last beat saw nothing undelivered is no reason to: another process may have
// written since.
func (s *share) mayDrift() bool {
	wait := s.h.cfg.journal.Patience
	seen := time.Unix(0, s.h.localSeen.Load())
	if e := s.h.era.Load(); e.since.After(seen) {
		seen = e.since
	}
	return wait > 0 && time.Since(seen) > wait
}

// drift goes on with the primary, in this process.
func (s *share) drift(e *era) {
	h := s.h
	h.mu.Lock()
	next, ok := h.changeLocked(e, turn{to: Primary, reason: ReasonRecovered, rec: e.rec, adrift: true})
	h.mu.Unlock()
	if !ok {
		return
	}
	h.primary.breaker.Reset()
	h.returns.Add(1)
	if next.rec != nil {
		h.cfg.logger.LogAttrs(context.Background(), slog.LevelError,
			"redis fallback: local is gone and the primary is well: this process goes on with it; what local holds is delivered when it is back",
			slog.String("primary", h.cfg.name))
	}
}

// ashore is called when local, and with it the record, is back. If the primary does not take the journal
// now, local serves again.
func (s *share) ashore() {
	if !s.landing.CompareAndSwap(false, true) {
		return
	}
	defer s.landing.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if s.comeBack(ctx) {
		return
	}
	if s.h.askLocal(localAsk) != nil {
		return // it answered the beat, not yet the program's client; the next beat tries again
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	e := s.h.era.Load()
	if e.adrift {
		s.h.changeLocked(e, turn{to: Local, reason: Reason(e.rec.Reason), cause: causeOf(e.rec), rec: e.rec})
		s.h.scheduleProbeLocked(s.h.cfg.health.Every)
	}
}

// leave tells the others that this process ends.
func (s *share) leave(ctx context.Context) {
	if !s.open.Load() || s.h.backup.breaker.State() == breaker.Open {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = within(ctx, func() error {
		_ = s.store.Release(ctx, journal.Prober, s.self.ID)
		_ = s.store.Release(ctx, journal.Drainer, s.self.ID)
		return s.store.Gone(ctx, s.self.ID)
	})
}

// close gives the connections of the share's own back. While local serves those that some writes need stay,
// since it goes on serving after Shutdown.
func (s *share) close() {
	_ = s.ear.Close()
	_ = s.plain.Close()
	if s.h.Serving() == Primary || s.h.ownsLocal {
		_ = s.store.Client().Close()
	}
}

// Drain delivers now what the journal holds, while local goes on serving, and returns how many entries
// that were; what was delivered before an error stays delivered. It may spend so many commands of the
// primary; 0 is no bound. What is written meanwhile is left to the return. It may be called by several
// processes at once: nothing is delivered twice.
//
// Of the errors, ErrRefused, ErrOtherPrimary and ErrBudget can be told by errors.Is.
func (h *Hook) Drain(ctx context.Context, budget int64) (int64, error) {
	s, err := h.openJournal()
	if err != nil {
		return 0, err
	}
	d, done, err := s.drainer(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	ctx, span := h.drainSpan(ctx, false)
	p, err := d.Deliver(ctx, journal.Options{Budget: budget})
	s.drained(p)
	span.endDrain(ctx, p, err)
	return p.Entries, err
}
