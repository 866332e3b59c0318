package fallback

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"
	"weak"

	"github.com/cenkalti/backoff/v4"
	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// probeTTL is how long a probe's key stays on the primary.
const probeTTL = time.Minute

// localAsk bounds the time a trip waits for local.
const localAsk = 500 * time.Millisecond

// Probe looks at the primary now, by one cheap write, and returns its error. While local serves it
// counts: enough good probes in a row, the further ones following by themselves, bring the primary
// back.
func (h *Hook) Probe(ctx context.Context) error {
	if h.down.Load() || h.off {
		return ErrClosed
	}
	e := h.era.Load()
	err := h.probe(ctx)
	h.probed(ctx, e, err)
	return err
}

// probe asks the primary, below the hook.
func (h *Hook) probe(ctx context.Context) error {
	next := h.root.Load()
	if next == nil {
		return ErrNoClient
	}
	h.probing.Add(1)
	defer h.probing.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, h.cfg.probeTimeout)
	defer cancel()
	h.probes.Add(1)
	cmd := redis.NewStatusCmd(ctx, "set", h.probeName(), time.Now().Unix(), "ex", int(probeTTL/time.Second))
	err := within(ctx, func() error { return (*next)(ctx, &once{Cmder: cmd}) })
	if err == nil {
		return nil
	}
	return h.plain(h.era.Load(), err)
}

// within runs f and waits for it no longer than ctx lasts: go-redis does not end a read with its
// context.
func within(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sign reads a probe's outcome.
func (h *Hook) sign(err error) health.Sign {
	switch v := h.verdict(nil, err); {
	case err == nil, v == Answered, v == Capacity && !h.cfg.onStorage:
		return health.Answered
	case v == Limit, v == Capacity:
		return health.Refused
	case v == Denied:
		h.cfg.logger.LogAttrs(context.Background(), slog.LevelError,
			"redis fallback: the primary does not let the probe write its key; it cannot become well",
			slog.String("primary", h.cfg.name), slog.String("error", plainText(err)))
	}
	return health.Silent
}

// probed takes the outcome of a probe into the plan, and returns when that is enough.
func (h *Hook) probed(ctx context.Context, e *era, err error) {
	switch {
	case errors.Is(err, ErrNoClient):
		return
	case errors.Is(err, redis.ErrClosed):
		h.rootGone.Store(true)
		return
	}
	sign := h.sign(err)
	if e.serving != Local || e.pinned {
		return
	}
	if sign != health.Answered {
		h.primary.failure(err)
		if sign == health.Silent {
			h.primary.breaker.Trip()
		}
	}
	h.mu.Lock()
	if h.era.Load() != e || h.down.Load() {
		h.mu.Unlock()
		return
	}
	wait, well := h.plan.Looked(time.Now(), sign)
	// With local gone there is nothing to wait for.
	gone := h.backup.breaker.State() == breaker.Open
	well = well || sign == health.Answered && gone
	if !well {
		if gone {
			wait = min(wait, h.cfg.health.Cooldown) // nobody serves: the hold is not worth that
		}
		h.scheduleProbeLocked(wait)
	}
	h.mu.Unlock()
	if !well {
		return
	}
	s := h.journal()
	switch {
	case s != nil && e.rec != nil && gone:
		if s.mayDrift() {
			s.drift(e)
			return
		}
		h.mu.Lock()
		if h.era.Load() == e {
			h.scheduleProbeLocked(min(wait, h.cfg.health.Cooldown))
		}
		h.mu.Unlock()
		return
	case s != nil && e.rec != nil:
		_ = within(ctx, func() error { s.comeBack(context.WithoutCancel(ctx)); return nil })
		return
	case gone || h.prepareReturn():
		h.giveBack(e, ReasonRecovered)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.era.Load() == e {
		wait, _ := h.plan.Looked(time.Now(), health.Refused)
		h.scheduleProbeLocked(wait)
	}
}

// scheduleProbeLocked sets the time of the next probe. Timers hold the hook weakly: one that was
// dropped with its clients is collected.
func (h *Hook) scheduleProbeLocked(wait time.Duration) {
	if h.down.Load() {
		return
	}
	if h.probeTimer != nil {
		h.probeTimer.Stop()
	}
	h.probeAt = time.Now().Add(wait)
	w := weak.Make(h)
	h.probeTimer = time.AfterFunc(wait, func() {
		if h := w.Value(); h != nil && !h.down.Load() {
			h.takeTurn()
		}
	})
}

// takeTurn probes, unless another process of this local does.
func (h *Hook) takeTurn() {
	s := h.journal()
	if s == nil || h.backup.breaker.State() == breaker.Open {
		_ = h.Probe(context.Background())
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), beatTimeout)
	defer cancel()
	mine, lease, err := s.store.Take(ctx, journal.Prober, s.self.ID, proberTime)
	if err == nil && !mine {
		h.mu.Lock()
		if h.era.Load().serving == Local {
			h.scheduleProbeLocked(lease.Left + time.Duration(rand.Int64N(int64(time.Second)))) //nolint:gosec // a jitter
		}
		h.mu.Unlock()
		return
	}
	_ = h.Probe(context.Background())
	h.mu.Lock()
	wait := time.Until(h.probeAt)
	h.mu.Unlock()
	if err == nil && h.Serving() == Local {
		// The time of the first call may be over: a probe, or the return after it, takes its own.
		ctx, cancel := context.WithTimeout(context.Background(), beatTimeout)
		defer cancel()
		_, _, _ = s.store.Take(ctx, journal.Prober, s.self.ID, max(wait, 0)+proberTime)
	}
}

// proberTime is how long the others wait for a prober that is late.
const proberTime = 10 * time.Second

// localFailed is told that local did not answer a command while it serves: if its breaker is open,
// the primary is looked at now, whatever its hold, and local sooner than its turn would be.
func (h *Hook) localFailed() {
	if h.backup.breaker.State() == breaker.Open {
		err := ErrLocalDown
		if last := h.backup.last.Load(); last != nil {
			err = errors.New(last.text)
		}
		h.logLocal(err)
		h.probeSoon()
		h.recheckLocal()
	}
}

// probeSoon looks at the primary now.
func (h *Hook) probeSoon() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.era.Load(); e.serving == Local && !e.pinned && time.Until(h.probeAt) > time.Second {
		h.scheduleProbeLocked(0)
	}
}

// localAnswers asks local, within a bound.
func (h *Hook) localAnswers() bool {
	b := h.backup.breaker
	if b.State() == breaker.Open {
		return false
	}
	if b.Clean() && time.Since(time.Unix(0, h.localSeen.Load())) < time.Second {
		return true
	}
	err := h.askLocal(localAsk)
	if err != nil {
		b.Trip()
		h.recheckLocal()
	}
	return err == nil
}

// askLocal sends local a PING. Every error is one: a local that refuses, or wants a password, cannot
// serve.
func (h *Hook) askLocal(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := within(ctx, func() error { return h.local.Process(ctx, &once{Cmder: redis.NewStatusCmd(ctx, "ping")}) })
	if err != nil && (neutral(err) || errors.Is(err, context.DeadlineExceeded)) {
		// The program may hold all connections of its pool: that counts for nobody.
		if t := h.backup.dialed.Load(); t != nil && h.backup.answersPing(t, timeout) {
			err = nil
		}
	}
	if err != nil {
		h.backup.failure(err)
		h.logLocal(err)
		return err
	}
	h.logLocal(nil)
	h.localSeen.Store(time.Now().UnixNano())
	if !h.backup.breaker.Clean() {
		h.backup.breaker.Reset()
	}
	return nil
}

// watchLocal begins the checks of local.
func (h *Hook) watchLocal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watching || h.cfg.localCheck == 0 {
		return
	}
	h.watching = true
	h.scheduleLocalLocked(h.cfg.localCheck, h.localPace())
}

// recheckLocal looks at a local that has just failed sooner than its turn would be.
func (h *Hook) recheckLocal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watching {
		pace := h.localPace()
		h.scheduleLocalLocked(pace.NextBackOff(), pace)
	}
}

// localPace is how often a local that does not answer is asked: from 1 s up to the usual time.
func (h *Hook) localPace() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(min(time.Second, h.cfg.localCheck)),
		backoff.WithMaxInterval(h.cfg.localCheck),
		backoff.WithMaxElapsedTime(0),
	)
}

func (h *Hook) scheduleLocalLocked(wait time.Duration, pace *backoff.ExponentialBackOff) {
	if h.down.Load() {
		return
	}
	if h.localTimer != nil {
		h.localTimer.Stop()
	}
	w := weak.Make(h)
	h.localTimer = time.AfterFunc(wait, func() {
		h := w.Value()
		if h == nil || h.down.Load() {
			return
		}
		wait := h.cfg.localCheck
		if h.askLocal(h.cfg.probeTimeout) != nil {
			h.backup.breaker.Trip()
			wait = pace.NextBackOff()
		} else {
			pace.Reset()
		}
		h.mu.Lock()
		h.scheduleLocalLocked(wait, pace)
		h.mu.Unlock()
	})
}
