package fallback

import (
	"context"
	"errors"
	"strings"

	"github.com/redis-fallback/fallback/internal/command"
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
	switch s := h.journal(); {
	case s == nil:
		h.sayNoJournal()
	case !s.looked.Load():
		s.first()
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
	h.in.sees(cmd.Args())
	err := next(ctx, cmd)
	if saidNowhere(err) {
		cmd.SetErr(nil)
		return nil
	}
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
	for _, cmd := range cmds {
		h.in.sees(cmd.Args())
	}
	err := next(ctx, cmds)
	if saidNowhere(err) {
		for _, cmd := range cmds {
			cmd.SetErr(nil)
		}
		return nil
	}
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
	h.primary.unanswered.Add(1)
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
	case command.Is(args, "watch"), command.Is(args, "multi") && (!s.armed || s.told && !s.watched):
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
	if s.left != "" { // by a transaction that a switch has met
		if err := next(ctx, redis.NewStatusCmd(ctx, s.left)); err != nil && !strings.HasPrefix(err.Error(), "ERR DISCARD without MULTI") {
			return err
		}
		s.left = ""
	}
	if s.dress.db == s.worn.db && s.dress.name == s.worn.name {
		return nil
	}
	if err := s.dress.putOn(ctx, next); err != nil {
		return err
	}
	s.worn = s.dress
	return nil
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
