package fallback

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// call is one command on its way.
type call struct {
	in    *instance
	seat  *seat // of a Conn or a Watch in a state of its own; held
	next  redis.ProcessHook
	cmd   redis.Cmder
	class command.Class
	kept  bool        // never to local
	once  *once       // nil if it may run twice
	ran   bool        // next must not be called again: see beside.go
	sent  redis.Cmder // cmd, or once
	began time.Time   // of a command whose error reply is a value
}

// fault is what one attempt on a server came to.
type fault struct {
	verdict Verdict
	err     error // for the caller, if nothing else is done
	limit   error // the refusal behind it, where err is not one
	again   bool  // it may be sent again: it did not run, or running twice is harmless
	now     bool  // at once: what failed says nothing of the server
	counted bool  // DialHook has told the breaker
	dials   int   // that failed before the one whose error this is, uncounted
	cmds    int   // commands of a batch that it is the fault of; 0: of one
}

// maxFree bounds the attempts that cost no wait. Each takes one dead connection from the pool, so a
// pool would have to be larger than this for the bound to matter.
const maxFree = 4096

// settle decides what becomes of a command that did not simply succeed on the primary: the error to
// the caller, another attempt, or local.
func (h *Hook) settle(ctx context.Context, e *era, c *call, err error) error {
	wait := h.retryBackoff()
	for free := 0; ; {
		var f fault
		if err == nil {
			if f = h.hiddenFault(c); f.verdict == Answered {
				h.primary.answered(1)
				return nil
			}
		} else {
			f = h.misread(c, h.fault(e, c.cmd, c.free(err), err))
			f.again = f.again && !c.once.spread()
		}
		cur := h.hear(ctx, e, f)
		switch {
		case !f.again, ctx.Err() != nil, c.kept && cur.undialed():
			return f.err
		case cur.serving == Local && !c.kept:
			c.cmd.SetErr(nil)
			return h.serveAfter(ctx, cur, c, f.err)
		case c.ran:
			return f.err
		case f.now && free < maxFree, f.verdict == Limit && cur != e && !c.kept && free < maxFree:
			free++
		case f.verdict == Limit, f.verdict == Capacity, c.once == nil:
			// Refused for good, or repeated often enough by go-redis.
			return f.err
		default:
			if !pause(ctx, cur, wait.NextBackOff()) {
				return f.err
			}
		}
		if e = h.era.Load(); e.serving == Local && !c.kept {
			c.cmd.SetErr(nil)
			return h.serveAfter(ctx, e, c, f.err)
		}
		c.cmd.SetErr(nil)
		if c.once != nil {
			c.once.reset()
		}
		err = c.next(ctx, c.sent)
		if err == redis.Nil || err == nil && !hidesErrors(c.cmd) { //nolint:errorlint // as go-redis returns it
			h.primary.answered(1)
			return err
		}
	}
}

// free reports that the command may be sent again whatever became of the last attempt, which ended
// with err: running it twice is harmless, or it was never written.
func (c *call) free(err error) bool {
	switch {
	case c.once == nil:
		return true
	case c.ran:
		return errors.Is(err, errNotDialed) // and the one before it was not lost: see onStream
	}
	return !c.once.written.Load()
}

// fault judges a failed attempt on the primary. free says that it may be sent again whatever became
// of it.
func (h *Hook) fault(e *era, cmd redis.Cmder, free bool, err error) fault {
	f := fault{err: h.plain(e, err), again: free}
	var dial *dialError
	var setUp *handshakeError
	var partial *wire.PartialError
	switch {
	case deadConn(err):
		f.verdict, f.again, f.counted = Busy, true, true
		return f
	case errors.Is(err, wire.ErrStale):
		f.verdict, f.again, f.now, f.counted = Busy, true, true, true
		return f
	case errors.Is(err, errNotDialed), saidNowhere(err):
		f.verdict, f.again, f.now, f.counted = Busy, true, true, true // it was written to nobody
		return f
	case errors.As(err, &setUp):
		f.verdict, f.again = Limit, true
		return f
	case errors.As(err, &partial):
		// It is not sent again. That the server refused a part of it for a limit is a signal all the same.
		f.verdict, f.again = h.verdict(cmd, replyError(partial.Reply)), false
		f.limit = newLimitError(replyError(partial.Reply))
		if f.verdict != Limit {
			f.verdict = Answered
		}
		return f
	case errors.As(err, &dial) && !dial.node:
		f.counted = !dial.seen.again() || dial.era != e
	case neutral(err):
		f.counted = true
	case dial != nil, isDial(err):
		f.dials = dialsEach - 1
	}
	switch f.verdict = h.verdict(cmd, err); f.verdict {
	case Limit, Capacity:
		limit := newLimitError(err)
		f.again = free || !fromScript(cmd) || !raisedInside(limit.Error())
		f.err = limit
	case Busy:
		f.again = true
	case Lost:
	default:
		f.again = false
	}
	return f
}

// deadConn reports the error of a Conn, or a Watch, whose connection has ended before. go-redis makes it
// no other: it asks no server, and what becomes of it says nothing of one.
func deadConn(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "redis: Conn is in a bad state")
}

// hiddenFault looks for a refusal in the value of a command whose error replies are values.
func (h *Hook) hiddenFault(c *call) fault {
	none := fault{verdict: Answered}
	switch cmd := c.cmd.(type) {
	case *redis.RawCmd:
		val := cmd.Val()
		if len(val) == 0 || val[0] != '-' {
			return none
		}
		text, _, _ := bytes.Cut(val[1:], []byte("\r"))
		reply := replyError(text)
		if h.verdict(cmd, reply) != Limit {
			return none
		}
		// The caller gets what a bare client gives: the refusal as a value, unless local answers.
		return fault{verdict: Limit, again: true}
	case *redis.RawWriteToCmd:
		// It stands in the caller's writer already: a signal, and nothing to replay.
		if seen := h.refusal.Load(); seen != nil && !seen.at.Before(c.began) {
			return fault{verdict: Limit}
		}
	}
	return none
}

// misread corrects the fault of a command whose error reply go-redis cannot read: all that is left of
// the reply is that it began as an error does, and what the connection saw tells which one it was.
func (h *Hook) misread(c *call, f fault) fault {
	if _, ok := c.cmd.(*redis.MapStringSliceInterfaceCmd); !ok || f.verdict != Answered || isReply(f.err) {
		return f
	}
	seen := h.refusal.Load()
	if seen == nil || seen.at.Before(c.began) || !strings.HasSuffix(f.err.Error(), "unexpected type -") {
		return f
	}
	return fault{verdict: Limit, err: seen.limit, again: true}
}

// hear tells the breaker and the switcher what was seen of the primary, and returns the era that
// holds then.
func (h *Hook) hear(ctx context.Context, e *era, f fault) *era {
	switch f.verdict {
	case Limit, Capacity, Busy, Lost, Denied:
		if !f.now { // else it was not sent
			h.primary.unanswered.Add(int64(max(f.cmds, 1)))
		}
	case Unknown, Answered, Cancelled:
	}
	if h.era.Load() != e {
		return h.era.Load() // of another time
	}
	switch f.verdict {
	case Answered:
		h.primary.answered(1)
	case Limit:
		h.refused.Add(1)
		return h.trip(ctx, e, ReasonQuota, f.cause(h))
	case Capacity:
		h.refused.Add(1)
		if h.cfg.onStorage {
			return h.trip(ctx, e, ReasonStorage, f.err)
		}
	case Denied:
		h.logDenied(e, f.err)
	case Busy, Lost:
		if f.verdict == Lost {
			h.lost.Add(1)
		}
		if !f.counted && e.serving == Primary {
			for range f.dials {
				h.primary.breaker.Record(breaker.Failure)
			}
			return h.primaryFailed(ctx, e, f.err)
		}
	case Unknown, Cancelled:
	}
	return h.era.Load()
}

// cause is the refusal that a trip is explained with, also where the caller does not see it.
func (f fault) cause(h *Hook) error {
	if f.limit != nil {
		return f.limit
	}
	if f.err != nil {
		return f.err
	}
	if seen := h.refusal.Load(); seen != nil {
		return seen.limit
	}
	return &LimitError{Kind: LimitOther, err: replyError("ERR limit exceeded")}
}

// primaryFailed counts a failure, and trips when the breaker is open.
func (h *Hook) primaryFailed(ctx context.Context, e *era, err error) *era {
	h.primary.failure(err)
	h.primary.breaker.Record(breaker.Failure)
	if h.primary.breaker.State() == breaker.Closed {
		return h.era.Load()
	}
	return h.trip(ctx, e, ReasonOutage, err)
}

// verdict asks the user's detector, then ours.
func (h *Hook) verdict(cmd redis.Cmder, err error) Verdict {
	if err == nil {
		return Answered
	}
	if h.cfg.detector != nil {
		if v := h.cfg.detector(cmd, err); v != Unknown {
			return v
		}
	}
	return Detect(cmd, err)
}

// plain returns err without the marks of our own, as the caller may see it.
func (h *Hook) plain(e *era, err error) error {
	var setUp *handshakeError
	var dial *dialError
	var partial *wire.PartialError
	var stream *streamError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &stream):
		return stream.err
	case errors.As(err, &setUp):
		return setUp.limit
	case errors.Is(err, errNotDialed), saidNowhere(err):
		if cur := h.era.Load(); cur.cause != nil {
			return h.plain(cur, cur.cause)
		}
		if e.cause != nil {
			return h.plain(e, e.cause)
		}
		return errNotDialed
	case errors.Is(err, errHung):
		return hungError("tcp")
	case errors.As(err, &partial):
		return partialError(partial)
	case errors.As(err, &dial):
		return dial.err
	}
	return err
}

func (h *Hook) retryBackoff() backoff.BackOff {
	if h.cfg.retries == 0 {
		return &backoff.StopBackOff{}
	}
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(15*time.Millisecond), // from about 10 ms, with the jitter
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0.3),
		backoff.WithMaxInterval(time.Second),
		backoff.WithMaxElapsedTime(0),
	)
	return backoff.WithMaxRetries(b, uint64(h.cfg.retries)) //nolint:gosec // not negative
}

// pause waits, until another era begins or the caller gives up. It reports whether to go on.
func pause(ctx context.Context, e *era, d time.Duration) bool {
	if d == backoff.Stop {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.ended:
	case <-ctx.Done():
		return false
	}
	return true
}
