package fallback

import (
	"context"
	"errors"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// The mirror taps what is sent to the primary where it is sent: below all decisions of the hook, around
// next. An attempt that the hook repeats is then an attempt of its own, with its own fate.

// mirrors returns the mirror, if there is one.
func (h *Hook) mirrors() *mirror.Mirror {
	if h.share == nil || h.share.mirror == nil || h.journal() == nil {
		return nil
	}
	return h.share.mirror
}

// bare returns the command without a mark of ours around it, and the mark.
func bare(cmd redis.Cmder) (redis.Cmder, *once) {
	if o, ok := cmd.(*once); ok {
		return o.Cmder, o
	}
	return cmd, nil
}

// unmark takes the marks out of a batch that has been sent: the mirror looks at replies by the types of
// commands. Who put them there takes them out as well, a moment later.
func unmark(cmds []redis.Cmder) []redis.Cmder {
	for i, cmd := range cmds {
		cmds[i], _ = bare(cmd)
	}
	return cmds
}

// mirrored returns next with the mirror around it.
func (h *Hook) mirrored(in *instance, next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, sent redis.Cmder) error {
		m := h.mirrors()
		if m == nil || in.is(handshake) {
			return next(ctx, sent)
		}
		cmd, mark := bare(sent)
		args := cmd.Args()
		class := command.Of(args)
		s := in.seat.Load()
		switch {
		case s != nil && s.multi && class.Has(command.Session) && command.Is(args, "exec"):
			return h.mirrorExec(ctx, m, s, next, sent)
		case class.Any(command.Read | command.Session | command.Admin):
			return next(ctx, sent)
		}
		if _, ok := ctx.(spentContext); ok {
			return next(ctx, sent) // a look, which sends nothing
		}
		db := ""
		if s != nil {
			db = s.worn.db
		}
		call := m.Begin(args, db)
		err := next(ctx, sent)
		switch {
		case s != nil && s.multi && s.armed && s.on == Primary && err == nil:
			s.mirrored = append(s.mirrored, cmd) // queued
			m.Nothing(call)
		case err == nil, err == redis.Nil: //nolint:errorlint // as go-redis returns it
			m.Done(call, db, cmd)
		case h.mayHaveRun(cmd, mark, err):
			m.Lost(call, db, cmd)
		default:
			m.Nothing(call)
		}
		return err
	}
}

// mirrorExec sends the EXEC of a transaction by hand. What came out of it is in one reply, which only the
// caller can read: what was queued is not known any more.
func (h *Hook) mirrorExec(ctx context.Context, m *mirror.Mirror, s *seat, next redis.ProcessHook, exec redis.Cmder) error {
	cmds := s.mirrored
	s.mirrored = nil
	if len(cmds) == 0 {
		return next(ctx, exec)
	}
	call := m.BeginAll(cmds, s.worn.db)
	err := next(ctx, exec)
	cmd, mark := bare(exec)
	if err == nil || !errors.Is(err, redis.TxFailedErr) && !redis.IsExecAbortError(err) && h.mayHaveRun(cmd, mark, err) {
		m.Lost(call, s.worn.db, cmds...)
	} else {
		m.Nothing(call)
	}
	return err
}

// mayHaveRun reports whether a write that failed on the primary may have changed something there.
func (h *Hook) mayHaveRun(cmd redis.Cmder, mark *once, err error) bool {
	if mark != nil && !mark.written.Load() {
		return false
	}
	if _, ok := errors.AsType[*wire.PartialError](err); ok {
		return true
	}
	switch h.fault(h.era.Load(), cmd, false, err).verdict {
	case Limit, Capacity, Busy, Denied:
		return fromScript(cmd) && raisedInside(err.Error())
	case Answered:
		return !isReply(err) || fromScript(cmd)
	case Unknown, Cancelled, Lost:
	}
	return true
}

// stretch is a part of a batch that runs in one database.
type stretch struct {
	call mirror.Call
	db   string
	cmds []redis.Cmder
}

// mirroredBatch returns next with the mirror around it.
func (h *Hook) mirroredBatch(in *instance, next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		m := h.mirrors()
		if m == nil || in.is(handshake) || !writes(cmds) {
			return next(ctx, cmds)
		}
		db := ""
		if s := in.seat.Load(); s != nil {
			db = s.worn.db
		}
		var few [1]stretch
		parts := split(few[:0], cmds, db)
		for i := range parts {
			parts[i].call = m.BeginAll(parts[i].cmds, parts[i].db)
		}
		err := next(ctx, cmds)
		for i := range parts {
			p := &parts[i]
			switch h.fate(cmds, p.cmds, err) {
			case ran:
				m.DoneAll(p.call, p.db, unmark(p.cmds))
			case unknown:
				m.Lost(p.call, p.db, unmark(p.cmds)...)
			case never:
				m.Nothing(p.call)
			}
		}
		return err
	}
}

// writes reports whether a batch has anything in it that the mirror must see.
func writes(cmds []redis.Cmder) bool {
	for _, cmd := range cmds {
		cmd, _ := bare(cmd)
		if !command.Of(cmd.Args()).Any(command.Read | command.Session | command.Admin) {
			return true
		}
	}
	return false
}

// split appends the parts of a batch that run in one database each: a SELECT may stand in it.
func split(parts []stretch, cmds []redis.Cmder, db string) []stretch {
	from := 0
	for i, cmd := range cmds {
		cmd, _ := bare(cmd)
		if args := cmd.Args(); command.Is(args, "select") && len(args) == 2 {
			if i > from {
				parts = append(parts, stretch{db: db, cmds: cmds[from:i]})
			}
			from, db = i+1, string(mirror.AppendArg(nil, args[1]))
		}
	}
	if from < len(cmds) {
		parts = append(parts, stretch{db: db, cmds: cmds[from:]})
	}
	return parts
}

// outcome is what became of a part of a batch on the primary.
type outcome uint8

const (
	ran     outcome = iota // and each command has its own reply
	never                  // nothing of it
	unknown                // all of it, or some, or nothing
)

// fate judges a part of a batch after it was sent.
func (h *Hook) fate(all, part []redis.Cmder, err error) outcome {
	if err != nil && (errors.Is(err, redis.TxFailedErr) || redis.IsExecAbortError(err)) {
		return never
	}
	var worst, some bool
	for _, sent := range part {
		cmd, mark := bare(sent)
		switch cerr := cmd.Err(); {
		case cerr == nil, cerr == redis.Nil: //nolint:errorlint // as go-redis returns it
			some = true
		case isReply(cerr):
			// Its own: a script's may be of something half done, which its effect knows.
			some = some || fromScript(cmd)
		default:
			worst = worst || h.mayHaveRun(cmd, mark, cerr)
		}
	}
	switch {
	case worst:
		return unknown
	case err != nil && !isReply(err) && firstErr(all) == nil:
		// Not one command has an error: it belongs to all of them.
		cmd, mark := bare(all[0])
		if h.mayHaveRun(cmd, mark, err) {
			return unknown
		}
		return never
	case !some:
		return never
	}
	return ran
}
