package fallback

import (
	"context"
	"errors"

	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

type onlyKey struct{}

// PrimaryOnly returns a context whose commands are never answered by local: while local serves they
// get the primary's stored refusal at once. For what must not be split in two: a lock, a payment.
func PrimaryOnly(ctx context.Context) context.Context {
	return context.WithValue(ctx, onlyKey{}, true)
}

func (h *Hook) primaryOnly(ctx context.Context, cmd redis.Cmder) bool {
	return ctx.Value(onlyKey{}) != nil || h.cfg.only != nil && h.cfg.only(cmd)
}

// serve answers a command that was issued while local serves.
func (h *Hook) serve(ctx context.Context, e *era, c *call) error {
	if !c.in.is(alone) && h.rootGone.Load() && h.rootGone.CompareAndSwap(true, false) {
		another := c.next // client that carries the hook
		h.root.Store(&another)
		h.probeSoon()
	}
	return h.serveAfter(ctx, e, c, e.refusal())
}

// serveAfter answers a command from local. cause is why the primary did not.
func (h *Hook) serveAfter(ctx context.Context, e *era, c *call, cause error) error {
	if h.primaryOnly(ctx, c.cmd) {
		h.withheld.Add(1)
		return e.refusal()
	}
	ctx, span := h.replaying(ctx, e, cause, c.cmd)
	err := h.answer(ctx, e, c, cause)
	span.end(err)
	return err
}

func (h *Hook) answer(ctx context.Context, e *era, c *call, cause error) error {
	if n, ok := h.noted(e, c.cmd, c.class); ok {
		return h.withCodeJournaled(ctx, e, c, n, cause)
	}
	ticket, ok := h.backup.breaker.Allow()
	if !ok {
		return &Error{Primary: cause, Local: ErrLocalDown}
	}
	if e.foreign(c.class, c.cmd) {
		h.backup.breaker.Done(ticket, breaker.Ignored)
		return ErrRestartScan
	}
	err := h.sendLocal(ctx, c, c.cmd)
	if err != nil && c.class.Has(command.Code) {
		err = h.bringCode(ctx, c, err)
	}
	verdict := h.localVerdict(ctx, ticket, err)
	if verdict == Answered {
		h.answeredLocally(ctx, 1)
		h.missed(c.class, c.cmd, err)
		if err == nil {
			e.remember(c.class, c.cmd)
		}
		if e.reason == ReasonStorage && c.class.Has(command.Deletes) {
			_ = c.next(ctx, c.cmd.Clone()) // or the primary could never become well
		}
		return err
	}
	if verdict == Cancelled {
		return err
	}
	return &Error{Primary: cause, Local: plainLocal(err)}
}

// sendLocal sends a command to local, as often as that is safe.
func (h *Hook) sendLocal(ctx context.Context, c *call, cmd redis.Cmder) error {
	switch twice := h.repeatable(c.class, cmd.Args(), cmd); {
	case c.seat != nil && c.seat.dress.changed:
		return c.seat.process(ctx, cmd, twice, false)
	case twice:
		return h.processLocal(ctx, cmd)
	}
	return h.onceOnLocal(ctx, cmd)
}

// onceOnLocal sends what must not run twice, one attempt at a time, and again only if the one before
// was refused or never written.
func (h *Hook) onceOnLocal(ctx context.Context, cmd redis.Cmder) error {
	wait := h.retryBackoff()
	for {
		o := &once{Cmder: cmd}
		err := h.local.Process(ctx, o)
		if err == nil || ctx.Err() != nil || o.spread() {
			return err
		}
		switch v := Detect(nil, err); {
		case errors.Is(err, wire.ErrStale):
			continue
		case v == Busy, v == Lost && !o.written.Load():
		default:
			return err
		}
		if !pause(ctx, h.era.Load(), wait.NextBackOff()) {
			return err
		}
	}
}

// localVerdict judges an answer of local, and tells its breaker. It counts a failure as that of one command.
func (h *Hook) localVerdict(ctx context.Context, t breaker.Ticket, err error) Verdict {
	if err == nil || err == redis.Nil { //nolint:errorlint // as go-redis returns it
		h.backup.breaker.Done(t, breaker.Success)
		return Answered
	}
	v := Detect(nil, err)
	switch {
	case v == Answered:
		h.backup.breaker.Done(t, breaker.Success)
	case v == Cancelled && ctx.Err() == nil:
		// go-redis' own dial ran out of time.
		v = Lost
		fallthrough
	case v == Busy && !neutral(err), v == Lost:
		h.backup.failure(err)
		h.backup.unanswered.Add(1)
		h.backup.breaker.Done(t, breaker.Failure)
		h.localFailed()
	default:
		h.backup.failure(err)
		if v != Cancelled {
			h.backup.unanswered.Add(1)
		}
		h.backup.breaker.Done(t, breaker.Ignored)
	}
	return v
}

// plainLocal returns what of local's error the caller may see.
func plainLocal(err error) error {
	if errors.Is(err, errHung) {
		return hungError("tcp")
	}
	return err
}
