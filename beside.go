package fallback

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// go-redis builds a ProcessHook for one call where an autopipeline sends a single command. One of
// these callers, the full-duplex autopipeline, puts the command on the wire beside the hooks: next
// writes nothing, it waits for the reply, and is of no use a second time. A hook that answers from
// local without calling it would have the command run on both servers.
//
// What tells it from the others, without a name of go-redis': it does not listen to the context, and
// it does not ask for the arguments.

// errSpent is the error of a context that is over before it is used.
var errSpent = errors.New("redis fallback: a look at how the command is sent")

type spentContext struct{ context.Context }

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (spentContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (spentContext) Done() <-chan struct{}       { return closed }
func (spentContext) Err() error                  { return errSpent }

// alone is ordinary for a closure that was built for one call.
func (h *Hook) alone(ctx context.Context, c *call) error {
	c.sent, c.began = c.cmd, time.Now()
	if !h.repeatable(c.class, c.cmd.Args(), c.cmd) {
		c.once = &once{Cmder: c.cmd}
		c.sent = c.once
	}
	e := h.era.Load()
	if e.serving == Local && !c.kept {
		return h.serveAlone(ctx, e, c)
	}
	err := c.next(ctx, c.sent)
	if err == redis.Nil || err == nil && !hidesErrors(c.cmd) { //nolint:errorlint // as go-redis returns it
		h.primary.answered(1)
		return err
	}
	if h.goesOn(e, c, err) {
		c.ran, err = h.wroteBeside(ctx, c, err)
	}
	return h.settle(ctx, e, c, err)
}

// goesOn reports an outcome after which settle may call next again.
func (h *Hook) goesOn(e *era, c *call, err error) bool {
	if err == nil {
		return h.hiddenFault(c).verdict != Answered
	}
	switch h.misread(c, h.fault(e, c.cmd, true, err)).verdict {
	case Limit, Capacity, Busy, Lost:
		return true
	case Unknown, Answered, Cancelled, Denied:
	}
	return false
}

// wroteBeside reports whether the command was on the wire whatever the hook did. next has been called
// already: a full duplex now returns the error that the command carries, which is none, at once; all
// others find that their context is over, and send nothing. err is what is known of the command then.
func (h *Hook) wroteBeside(ctx context.Context, c *call, err error) (bool, error) {
	c.cmd.SetErr(nil)
	look := &once{Cmder: c.cmd}
	again := c.next(spentContext{ctx}, look)
	if look.written.Load() {
		return true, again // sent, against all that is known of go-redis: this is its outcome
	}
	return again == nil, err
}

// serveAlone answers a command while local serves. One that a full duplex has sent already is answered
// as the primary answers it, and by local only if it did not run there.
func (h *Hook) serveAlone(ctx context.Context, e *era, c *call) error {
	look := &once{Cmder: c.cmd}
	err := c.next(spentContext{ctx}, look)
	if !look.written.Load() && errors.Is(err, errSpent) {
		c.cmd.SetErr(nil)
		return h.serve(ctx, e, c)
	}
	c.ran = true
	var f fault
	switch {
	case err == redis.Nil, err == nil && !hidesErrors(c.cmd): //nolint:errorlint // as go-redis returns it
		f = fault{verdict: Answered, err: err}
	case err == nil:
		f = h.hiddenFault(c)
	default:
		f = h.misread(c, h.fault(e, c.cmd, c.free(err), err))
	}
	switch f.verdict {
	case Answered:
		h.primary.answered(1)
		h.logBeside(e)
		return f.err
	case Limit:
		h.refused.Add(1)
		h.primary.unanswered.Add(1)
	case Lost:
		h.lost.Add(1)
		h.primary.unanswered.Add(1)
	case Unknown, Cancelled, Capacity, Busy, Denied:
	}
	if !f.again || ctx.Err() != nil {
		return f.err
	}
	c.cmd.SetErr(nil)
	return h.serveAfter(ctx, e, c, e.refusal())
}

// logBeside says once in an era that commands go to the primary while local serves.
func (h *Hook) logBeside(e *era) {
	if h.besides.Swap(e.epoch+1) == e.epoch+1 {
		return
	}
	h.cfg.logger.LogAttrs(context.Background(), slog.LevelWarn,
		"redis fallback: a full-duplex autopipeline writes beside the hooks; what the primary answers there runs there while local serves",
		slog.String("primary", h.cfg.name))
}

// streamError is what a full duplex gets in place of an error of its connection. That error would have
// it send again, by itself, whatever was under way: an INCR twice. It unwraps to nothing that go-redis
// repeats a command for.
type streamError struct{ err error }

func (e *streamError) Error() string { return e.err.Error() }

// onStream marks the error of a connection that a full duplex holds. Nothing else in go-redis repeats
// commands without asking them first. Errors are rare enough to look at the stack for it.
func onStream(err error) error {
	var pcs [48]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		switch {
		case strings.Contains(f.Function, ".initConn"):
			return err // no command of the stream is on it yet
		case strings.Contains(f.Function, "(*fdEngine)."):
			return &streamError{err}
		case !more:
			return err
		}
	}
}
