package fallback

import (
	"context"
	"errors"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// special takes what belongs to one connection: its set-up, transactions by hand or under WATCH, and
// whatever else is sent on an instance that is in a state of its own.
func (h *Hook) special(ctx context.Context, in *instance, next redis.ProcessHook, cmd redis.Cmder, class command.Class) error {
	args := cmd.Args()
	setsUp := command.Is(args, "hello") || command.Is(args, "auth")
	if in.is(fresh) {
		if err := h.begin(in); err != nil {
			return err
		}
		if setsUp && !in.root.Load() {
			in.state.Or(handshake)
		}
	}
	switch {
	case in.is(handshake):
		return h.setUp(ctx, next, cmd)
	case in.is(seated), class.Any(command.Session) && in.session() && !harmlessClient(args):
		return h.onSession(ctx, in, next, cmd, class)
	case !class.Any(command.Session):
		return h.plainCall(ctx, &call{in: in, next: next, cmd: cmd, class: class, kept: class.Has(command.Admin)})
	case command.Is(args, "watch") && h.unordered.Load() && h.Serving() == Local:
		h.withheld.Add(1)
		return h.era.Load().refusal()
	case command.Is(args, "watch") && !in.root.Load() && !h.unordered.Load():
		// Its EXEC could not be told from a stranger's. The caller's loop begins again.
		return redis.TxFailedErr
	}
	return h.passed(ctx, next, cmd)
}

// begin is called before the first thing that is sent through an instance.
func (h *Hook) begin(in *instance) error {
	if !h.admitted.Load() {
		if err := h.admit(); err != nil {
			return err
		}
	}
	h.checkOrder(in)
	in.state.And(^fresh)
	return nil
}

// plainCall takes a command that needs no connection of its own.
func (h *Hook) plainCall(ctx context.Context, c *call) error {
	switch {
	case c.class.Has(command.Cursor):
		return h.scan(ctx, c)
	case c.class.Has(command.Code):
		return h.runCode(ctx, c)
	}
	return h.run(ctx, c)
}

// run sends a command on its way.
func (h *Hook) run(ctx context.Context, c *call) error {
	if c.in.is(alone) {
		return h.alone(ctx, c)
	}
	return h.ordinary(ctx, c)
}

// setUp passes a command that sets up a connection. It always goes to the primary, as it is, and is
// never sent again by the hook. go-redis gets its errors as they are: it takes one layer off them, and
// the marks of ours must come through to the command that wanted the connection.
func (h *Hook) setUp(ctx context.Context, next redis.ProcessHook, cmd redis.Cmder) error {
	e := h.era.Load()
	if e.undialed() {
		defer h.onConnect.sends(cmd)()
	}
	err := next(ctx, cmd)
	if err == nil || h.verdict(cmd, err) != Limit {
		return err
	}
	limit := newLimitError(err)
	h.refused.Add(1)
	cur := h.trip(ctx, e, ReasonQuota, limit)
	args := cmd.Args()
	if cur.serving == Local {
		cur.shut.Store(true)
	}
	if cur.serving == Local && (command.Is(args, "hello") || command.Is(args, "auth") || command.Is(args, "client")) {
		return &handshakeError{limit}
	}
	return limit
}

// setUpPipeline passes a pipeline that sets up a connection, and learns from what is refused.
func (h *Hook) setUpPipeline(ctx context.Context, next redis.ProcessPipelineHook, cmds []redis.Cmder) error {
	e := h.era.Load()
	if e.undialed() {
		defer h.onConnect.sends(cmds...)()
	}
	err := next(ctx, cmds)
	if err != nil && h.verdict(cmds[0], err) == Limit {
		h.refused.Add(1)
		h.trip(ctx, e, ReasonQuota, newLimitError(err))
	}
	return err // as it is: see setUp
}

// passed sends a command to the primary, whoever serves. A refusal is a signal all the same. While the
// primary is not even dialed, there is nobody to send it to: see limbo.
func (h *Hook) passed(ctx context.Context, next redis.ProcessHook, cmd redis.Cmder) error {
	e := h.era.Load()
	if e.undialed() {
		return h.plain(e, e.refusal())
	}
	err := next(ctx, cmd)
	if err == nil {
		return nil
	}
	err = h.plain(e, err)
	if h.verdict(cmd, err) != Limit {
		return err
	}
	limit := newLimitError(err)
	h.refused.Add(1)
	h.trip(ctx, e, ReasonQuota, limit)
	return limit
}

// onSession takes a command of a Conn or a Watch that is in a state of its own, or about to be.
func (h *Hook) onSession(ctx context.Context, in *instance, next redis.ProcessHook, cmd redis.Cmder, class command.Class) error {
	s := in.sit(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.used()
	args := cmd.Args()
	e := h.era.Load()
	switch {
	case command.Is(args, "watch"), command.Is(args, "multi") && !s.armed:
		return h.arm(ctx, e, s, next, cmd, class)
	case s.armed:
		return h.armed(ctx, e, s, next, cmd, class)
	case !class.Any(command.Session), command.Is(args, "unwatch"), command.Is(args, "exec"), command.Is(args, "discard"):
		return h.plainCall(ctx, &call{in: in, seat: s, next: next, cmd: cmd, class: class, kept: s.fixed || class.Has(command.Admin)})
	case s.fixed:
	case command.Is(args, "select"), isClient(args, "setname"):
		return h.dressed(ctx, e, in, s, next, cmd, class)
	case e.serving == Local && s.dress.changed && (isClient(args, "getname") || isClient(args, "id") || isClient(args, "info")):
		return h.ordinary(ctx, &call{in: in, seat: s, next: next, cmd: cmd, class: class})
	}
	err := h.passed(ctx, next, cmd)
	if err == nil && !harmlessClient(args) {
		s.fixed = true
	}
	return err
}

// harmlessClient reports a CLIENT that leaves the connection as it was.
func harmlessClient(args []any) bool {
	for _, sub := range [...]string{"id", "info", "list", "getname", "getredir", "trackinginfo", "kill", "pause", "unpause", "unblock", "help"} {
		if isClient(args, sub) {
			return true
		}
	}
	return false
}

// dressed changes what moves along with a Conn.
func (h *Hook) dressed(ctx context.Context, e *era, in *instance, s *seat, next redis.ProcessHook, cmd redis.Cmder, class command.Class) error {
	before := s.dress
	s.dress.changed = true // so that local's own connection is asked, not its pool
	err := h.ordinary(ctx, &call{in: in, seat: s, next: next, cmd: cmd, class: class})
	if err != nil {
		s.dress = before
		return err
	}
	args := cmd.Args()
	s.dress.changes(args)
	switch {
	case e.serving == Primary && h.era.Load() == e:
		s.worn.changes(args)
	case e.serving == Primary: // which of the two has it on is not known
		s.worn = dress{db: "?", name: "?"}
	}
	return nil
}

// dressPrimary makes the primary's connection look as the Conn wants it: it may have been told so
// while local served.
func (s *seat) dressPrimary(ctx context.Context, next redis.ProcessHook) error {
	if s.dress.db == s.worn.db && s.dress.name == s.worn.name {
		return nil
	}
	if err := s.dress.putOn(ctx, next); err != nil {
		return err
	}
	s.worn = s.dress
	return nil
}

// arm begins to watch, or a transaction by hand, on the server that serves.
func (h *Hook) arm(ctx context.Context, e *era, s *seat, next redis.ProcessHook, cmd redis.Cmder, class command.Class) error {
	if s.armed && (s.term != e.term || s.aborted) {
		if s.abort(); !s.told {
			s.told = true
			return redis.TxFailedErr // what was watched before is not, on this server
		}
		s.armed = false
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
	err := h.onSeat(ctx, e, s, cmd, class, command.Is(cmd.Args(), "watch"))
	if err == nil {
		s.arm(Local, e.term)
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
		clean := !class.Any(command.Session) || ends || command.Is(args, "watch") || command.Is(args, "multi") || harmlessClient(args)
		err = h.onSeat(ctx, e, s, h.withCode(ctx, Local, cmd, class), class, clean)
	}
	if err == nil && !ends {
		s.dress.changes(args)
		e.remember(class, cmd)
	}
	if lets || ends && endsWatch(err) {
		s.disarm()
	}
	return err
}

// letGo answers an UNWATCH or DISCARD of a transaction that is over. Only the primary's connection may
// still hold something.
func (h *Hook) letGo(ctx context.Context, e *era, s *seat, next redis.ProcessHook, cmd redis.Cmder) error {
	if s.on == Primary && !e.undialed() && next(ctx, cmd) == nil {
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
	if !h.repeatable(class, cmd.Args(), cmd) {
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
		h.backup.answered(1)
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

// keyOf returns a key of a command that names keys alone, as WATCH does.
func keyOf(cmd redis.Cmder) string {
	if args := cmd.Args(); len(args) > 1 {
		key, _ := args[1].(string)
		return key
	}
	return ""
}

// endsWatch reports that EXEC released what was watched: the condition of go-redis' own Tx.
func endsWatch(err error) bool {
	return err == nil || err == redis.Nil || errors.Is(err, redis.TxFailedErr) || redis.IsExecAbortError(err) //nolint:errorlint // as go-redis returns it
}
