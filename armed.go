package fallback

import (
	"context"
	"errors"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// arm begins to watch, or a transaction by hand, on the server that serves.
func (h *Hook) arm(ctx context.Context, e *era, s *seat, next redis.ProcessHook, cmd redis.Cmder, class command.Class) error {
	if s.armed && (s.term != e.term || s.aborted) {
		if s.abort(); !s.told {
			s.told = true
			return redis.TxFailedErr // what was watched before is not, on this server
		}
		s.disarm()
	}
	again := s.armed // a further WATCH: on the same connection, or not at all
	if e.serving == Primary || s.fixed {
		if s.fixed && e.serving == Local {
			h.withheld.Add(1)
			return e.refusal()
		}
		err := s.dressPrimary(ctx, next)
		if err == nil {
			err = next(ctx, cmd)
		}
		if err == nil {
			h.primary.answered(1)
			s.arm(Primary, e.term)
			s.began(cmd.Args())
			return nil
		}
		f := h.fault(e, cmd, true, err)
		cur := h.hear(ctx, e, f)
		switch {
		case cur.serving == Primary, !f.again, ctx.Err() != nil, s.fixed:
			return f.err
		case again:
			s.abort()
			s.told = true
			return redis.TxFailedErr
		}
		cmd.SetErr(nil)
		e = cur
	}
	if h.primaryOnly(ctx, cmd) {
		h.withheld.Add(1)
		return e.refusal()
	}
	ctx, span := h.replaying(ctx, e, e.refusal(), cmd)
	err := h.armOnLocal(ctx, e, s, cmd, class)
	span.end(err)
	return err
}

func (h *Hook) armOnLocal(ctx context.Context, e *era, s *seat, cmd redis.Cmder, class command.Class) error {
	if command.Is(cmd.Args(), "multi") && h.journal() != nil && e.rec != nil {
		if err := h.fenceSeat(ctx, e, s); err != nil {
			return err
		}
	}
	err := h.onSeat(ctx, e, s, cmd, class, command.Is(cmd.Args(), "watch"))
	if err == nil {
		s.arm(Local, e.term)
		s.began(cmd.Args())
	}
	return err
}

// armed takes a command between WATCH or MULTI and EXEC. It stays where the transaction began, and
// once another server serves nothing of it may run any more: its loop begins again there.
func (h *Hook) armed(ctx context.Context, e *era, s *seat, next redis.ProcessHook, cmd redis.Cmder, class command.Class) error {
	args := cmd.Args()
	lets := command.Is(args, "unwatch") || command.Is(args, "discard")
	ends := lets || command.Is(args, "exec")
	if s.term != e.term || s.aborted {
		s.abort()
		s.told = true
		if ends {
			s.disarm()
		}
		if lets {
			return h.letGo(ctx, e, s, next, cmd)
		}
		return redis.TxFailedErr
	}
	if class.Has(command.Admin) && s.on == Local {
		return h.passed(ctx, next, cmd)
	}
	if e.foreign(class, cmd) {
		return ErrRestartScan
	}
	var err error
	if s.on == Primary {
		err = h.armedOnPrimary(ctx, e, s, next, h.withCode(ctx, Primary, cmd, class), class)
	} else {
		if h.primaryOnly(ctx, cmd) {
			h.withheld.Add(1)
			return e.refusal()
		}
		spanned, span := h.replaying(ctx, e, e.refusal(), cmd)
		var settled bool
		err, settled = h.armedOnLocal(spanned, e, s, cmd, class, ends)
		if span.end(err); settled {
			return err
		}
	}
	if err == nil && !ends {
		s.began(args)
		s.dress.changes(args)
		e.remember(class, cmd)
	}
	if lets || ends && endsWatch(err) {
		s.disarm()
	}
	return err
}

// armedOnLocal sends a command within a transaction on local. It reports whether that was all there is to
// do about it.
func (h *Hook) armedOnLocal(ctx context.Context, e *era, s *seat, cmd redis.Cmder, class command.Class, ends bool) (err error, settled bool) { //nolint:revive // the flag explains the error
	args := cmd.Args()
	if n, ok := h.noted(e, cmd, class); ok && !ends && !class.Any(command.Session) {
		return h.armedJournaled(ctx, e, s, cmd, class, n), true
	}
	if s.multi && command.Is(args, "exec") && len(s.queued) > 0 {
		return h.execByHand(ctx, e, s, cmd), true
	}
	clean := !class.Any(command.Session) || ends || command.Is(args, "watch") || command.Is(args, "multi") || harmlessClient(args)
	return h.onSeat(ctx, e, s, h.withCode(ctx, Local, cmd, class), class, clean), false
}

// letGo answers an UNWATCH or DISCARD of a transaction that is over. Only the primary's connection may
// still hold something.
func (h *Hook) letGo(ctx context.Context, e *era, s *seat, next redis.ProcessHook, cmd redis.Cmder) error {
	if s.on == Primary && !e.undialed() && next(ctx, cmd) == nil {
		s.left = ""
		return nil
	}
	switch cmd := cmd.(type) {
	case *redis.StatusCmd:
		cmd.SetVal("OK")
	case *redis.Cmd:
		cmd.SetVal("OK")
	}
	return nil
}

// armedOnPrimary sends a command within a transaction, once.
func (h *Hook) armedOnPrimary(ctx context.Context, e *era, s *seat, next redis.ProcessHook, cmd redis.Cmder, class command.Class) error {
	c := call{next: next, cmd: cmd, sent: cmd}
	// That a write is harmless twice is no help here: what begins again is the caller's whole block, which
	// has read meanwhile what the lost one wrote.
	if !class.Has(command.Read) || cmd.NoRetry() {
		c.once = &once{Cmder: cmd}
		c.sent = c.once
	}
	err := next(ctx, c.sent)
	if err == nil || err == redis.Nil { //nolint:errorlint // as go-redis returns it
		h.primary.answered(1)
		return err
	}
	f := h.fault(e, cmd, c.free(err), err)
	cur := h.hear(ctx, e, f)
	if c.free(err) && ctx.Err() == nil && (f.verdict == Lost || deadConn(err)) {
		// What was watched went with the connection, and nothing of it can have run.
		s.abort()
		s.told = true
		return redis.TxFailedErr
	}
	if f.again && cur.term != s.term || f.again && f.now {
		s.abort()
		s.told = true
		return redis.TxFailedErr
	}
	return f.err
}

// onSeat runs a command on the session's own connection of local.
func (h *Hook) onSeat(ctx context.Context, e *era, s *seat, cmd redis.Cmder, class command.Class, clean bool) error {
	ticket, ok := h.backup.breaker.Allow()
	if !ok {
		return &Error{Primary: e.refusal(), Local: ErrLocalDown}
	}
	err := s.process(ctx, cmd, h.repeatable(class, cmd.Args(), cmd), clean)
	v := h.localVerdict(ctx, ticket, err)
	if v == Answered {
		h.answeredLocally(ctx, 1)
	}
	if v == Answered || v == Cancelled {
		return err
	}
	return &Error{Primary: e.refusal(), Local: plainLocal(err)}
}

// process sends a command on the session's own connection of local. One that the connection did not
// survive is sent again on another where that is safe and nothing was armed there.
func (s *seat) process(ctx context.Context, cmd redis.Cmder, twice, clean bool) error {
	for attempt := 0; ; attempt++ {
		conn, err := s.local(ctx, keyOf(cmd), clean)
		if err != nil {
			return err
		}
		o := &once{Cmder: cmd}
		err = conn.Process(ctx, o)
		if err == nil || isReply(err) {
			return err
		}
		s.broken()
		if attempt > 0 || s.armed || ctx.Err() != nil || !twice && o.written.Load() && !errors.Is(err, wire.ErrStale) {
			return err
		}
		cmd.SetErr(nil)
	}
}

// broken sees the end of the connection of local.
func (s *seat) broken() {
	if s.armed && s.on == Local {
		s.aborted, s.told = true, true
	}
	s.pooled = false // there is nobody to tell
	s.release()
}
