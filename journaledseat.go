package fallback

import (
	"context"
	"errors"

	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// armedJournaled takes a write between WATCH or MULTI and EXEC on local.
func (h *Hook) armedJournaled(ctx context.Context, e *era, s *seat, cmd redis.Cmder, class command.Class, n journal.Noted) error {
	if s.multi {
		// It is only queued here. What it did is written down by EXEC.
		err := h.onSeat(ctx, e, s, h.withCode(ctx, Local, cmd, class), class, true)
		if err == nil {
			s.queued = append(s.queued, n)
		}
		return err
	}
	if h.share.inOurs(s) {
		return &Error{Primary: e.refusal(), Local: errOurDatabase}
	}
	ticket, ok := h.backup.breaker.Allow()
	if !ok {
		return &Error{Primary: e.refusal(), Local: ErrLocalDown}
	}
	c := &call{seat: s, cmd: h.withCode(ctx, Local, cmd, class), class: class}
	err := h.share.write(ctx, e, c, n)
	if errors.Is(err, errFenced) || journal.Fenced(err) || journal.Full(err) {
		h.backup.breaker.Done(ticket, breaker.Ignored)
		if journal.Full(err) {
			return &Error{Primary: e.refusal(), Local: ErrJournalFull}
		}
		cmd.SetErr(nil)
		s.abort()
		s.told = true
		return h.share.begunElsewhere(ctx)
	}
	if v := h.localVerdict(ctx, ticket, err); v == Answered || v == Cancelled {
		if v == Answered {
			h.answeredLocally(ctx, 1)
		}
		h.share.noted.Add(1)
		return err
	}
	return &Error{Primary: e.refusal(), Local: plainLocal(err)}
}

// fenceSeat has the session's connection of local watch the fence, before a MULTI by hand.
func (h *Hook) fenceSeat(ctx context.Context, e *era, s *seat) error {
	if h.share.inOurs(s) {
		return &Error{Primary: e.refusal(), Local: errOurDatabase}
	}
	conn, err := s.local(ctx, "", false)
	if err != nil {
		return &Error{Primary: e.refusal(), Local: err}
	}
	db, _ := h.share.database(s)
	switch err := h.share.watchFence(ctx, conn, e, db); {
	case err == nil:
		s.queued = nil
		return nil
	case journal.Fenced(err):
		return h.share.begunElsewhere(ctx)
	case journal.Full(err):
		return &Error{Primary: e.refusal(), Local: ErrJournalFull}
	default:
		s.broken()
		return &Error{Primary: e.refusal(), Local: plainLocal(err)}
	}
}

// inOurs reports a Conn that has selected the database in which the journal lies: on local a FLUSHDB there
// would take away what other callers were told is kept.
func (s *share) inOurs(c *seat) bool {
	db, _ := s.database(c)
	return db == s.store.Database()
}

var errOurDatabase = errors.New("redis fallback: the journal lies in this database of local, where nothing else is written (JournalConfig.Database)")

// watchFence has a connection that is in database db watch the fence, and compares it.
func (s *share) watchFence(ctx context.Context, conn *redis.Conn, e *era, db int) error {
	key := s.store.FenceKey()
	got := redis.NewSliceCmd(ctx, "mget", key)
	p := conn.Pipeline()
	if err := p.BatchProcess(ctx,
		&once{Cmder: redis.NewStatusCmd(ctx, "select", s.store.Database())},
		redis.NewStatusCmd(ctx, "watch", key), got, redis.NewStatusCmd(ctx, "select", db)); err != nil {
		return err
	}
	if _, err := p.Exec(ctx); err != nil {
		return err // it may be in the other database: no use any more
	}
	return journal.At(e.rec.Fence(), got.Val()[0])
}

// execByHand ends a transaction that the program has put together itself: what it queued is written down
// within it, and what that answers is taken off the reply.
func (h *Hook) execByHand(ctx context.Context, e *era, s *seat, cmd redis.Cmder) error {
	db, label := h.share.database(s)
	w := journal.Write{Fence: e.rec.Fence(), DB: db, Label: label, Kind: journal.KindScript, Noting: true}
	note := h.share.store.Body(h.share.store.Args(w, s.queued))
	s.queued = nil
	for _, args := range [][]any{{"setrange", h.share.store.Room(), 0, ""}, note} {
		if err := h.onSeat(ctx, e, s, redis.NewCmd(ctx, args...), 0, true); err != nil {
			return err
		}
	}
	err := h.onSeat(ctx, e, s, cmd, command.Of(cmd.Args()), true)
	if err == redis.Nil { //nolint:errorlint // as go-redis returns it
		_, _ = h.share.look(ctx) // what was watched has changed, the fence perhaps
	}
	switch cmd := cmd.(type) {
	case *redis.Cmd:
		if list, ok := cmd.Val().([]any); ok && len(list) >= 2 {
			cmd.SetVal(list[:len(list)-2])
		}
	case *redis.SliceCmd:
		if list := cmd.Val(); len(list) >= 2 {
			cmd.SetVal(list[:len(list)-2])
		}
	}
	if endsWatch(err) {
		s.disarm()
	}
	return err
}
