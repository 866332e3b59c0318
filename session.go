package fallback

import (
	"context"
	"errors"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis/go-redis/v9"
)

// session handles a command that belongs to the connection it is sent on. It always goes to the
// primary, as it is, and is never sent again by the hook: the set-up of a connection, and WATCH and
// MULTI with what follows them.
func (h *Hook) session(ctx context.Context, in *instance, next redis.ProcessHook, cmd redis.Cmder) error {
	args := cmd.Args()
	setUp := command.Is(args, "hello") || command.Is(args, "auth") || command.Is(args, "client")
	switch {
	case in.root:
	case command.Is(args, "hello"), command.Is(args, "auth"):
		in.set(&in.handshake, true)
	case command.Is(args, "watch") && !in.kept.Load():
		if in.unsure.Load() {
			// Its EXEC could not be told from a stranger's. The caller's loop begins again.
			return redis.TxFailedErr
		}
		if e := h.era.Load(); e.serving == Local {
			h.withheld.Add(1)
			return e.refusal()
		}
	}
	e := h.era.Load()
	err := next(ctx, cmd)
	if !in.root {
		in.follow(args, err)
	}
	if err == nil {
		return nil
	}
	if !in.handshake.Load() {
		// The set-up of a connection gives go-redis its errors as they are: it takes one layer off
		// them, and the marks of ours must come through to the command that wanted the connection.
		err = h.plain(e, err)
	}
	if h.verdict(cmd, err) != Limit {
		return err
	}
	limit := newLimitError(err)
	h.refused.Add(1)
	cur := h.trip(ctx, e, ReasonQuota, limit)
	if setUp && in.handshake.Load() && cur.serving == Local {
		return &handshakeError{limit}
	}
	return limit
}

// follow keeps in step with the state of the connection.
func (in *instance) follow(args []any, err error) {
	switch {
	case err == nil && (command.Is(args, "watch") || command.Is(args, "multi")):
		in.set(&in.armed, true)
	case command.Is(args, "unwatch"), command.Is(args, "discard"), command.Is(args, "reset"):
		if err == nil {
			in.set(&in.armed, false)
		}
	case command.Is(args, "exec"):
		in.executed(err)
	case err == nil && command.Is(args, "select"):
		in.set(&in.moved, true)
	}
}

// endsWatch reports that EXEC released what was watched: the condition of go-redis' own Tx.
func endsWatch(err error) bool {
	return err == nil || errors.Is(err, redis.TxFailedErr) || redis.IsExecAbortError(err)
}

// setUpPipeline passes a pipeline that sets up a connection, and learns from what is refused.
func (h *Hook) setUpPipeline(ctx context.Context, next redis.ProcessPipelineHook, cmds []redis.Cmder) error {
	e := h.era.Load()
	err := next(ctx, cmds)
	if err != nil && h.verdict(cmds[0], err) == Limit {
		h.refused.Add(1)
		h.trip(ctx, e, ReasonQuota, newLimitError(err))
	}
	return err // as it is: see session
}
