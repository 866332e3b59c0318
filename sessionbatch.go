package fallback

import (
	"context"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis/go-redis/v9"
)

// batchOnSession takes a pipeline or a transaction of a Conn or a Watch.
func (h *Hook) batchOnSession(ctx context.Context, b *batch) error {
	s := b.in.sit(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.used()
	b.seat, b.stays = s, s.fixed
	e := h.era.Load()
	if s.armed {
		b.look(h)
		b.judge(h)
		// What may have run, and wrote, must not be reported as failed, harmless twice or not: the caller's
		// whole block would begin again.
		b.twice = b.reads
		err := h.armedBatch(ctx, e, b)
		for _, cmd := range b.inner() {
			if cmd.Err() == nil {
				s.dress.changes(cmd.Args())
			}
		}
		return err
	}
	before := s.dress
	for _, cmd := range b.cmds {
		if args := cmd.Args(); movesAlong(args) {
			s.dress.changed = true // so that local's own connection is asked, not its pool
		}
	}
	if e.serving == Primary || b.stays {
		if err := s.dressPrimary(ctx, b.in.next); err != nil {
			return h.failBatch(b, h.plain(e, err))
		}
	}
	err := h.ordinaryBatch(ctx, b)
	s.dress = before
	onPrimary := e.serving == Primary && h.era.Load() == e
	for _, cmd := range b.cmds {
		if cmd.Err() != nil {
			continue
		}
		args := cmd.Args()
		s.dress.changes(args)
		if onPrimary {
			s.worn.changes(args)
		}
		if command.Of(args).Any(command.Session) && !movesAlong(args) && !harmlessClient(args) && !isFrame(b, cmd) {
			s.fixed = true
		}
	}
	return err
}

// isFrame reports the MULTI or EXEC that go-redis puts around a transaction.
func isFrame(b *batch, cmd redis.Cmder) bool {
	return b.tx && (cmd == b.cmds[0] || cmd == b.cmds[len(b.cmds)-1])
}

// movesAlong reports a command whose effect on its connection is carried over at a switch.
func movesAlong(args []any) bool { return command.Is(args, "select") || isClient(args, "setname") }

// holdsSession reports whether a batch has something in it that belongs to one connection.
func (b *batch) holdsSession() bool {
	for _, cmd := range b.inner() {
		if args := cmd.Args(); command.Of(args).Any(command.Session) && !harmlessClient(args) {
			return true
		}
	}
	return false
}

// armedBatch takes a pipeline or the transaction itself after a WATCH.
func (h *Hook) armedBatch(ctx context.Context, e *era, b *batch) error {
	s := b.seat
	if s.term != e.term || s.aborted {
		s.abort()
		s.told = true
		if b.tx {
			s.disarm()
		}
		return h.failBatch(b, redis.TxFailedErr)
	}
	var err error
	if s.on == Primary {
		err = h.armedBatchOnPrimary(ctx, e, b)
	} else {
		err = h.armedBatchOnLocal(ctx, e, b)
	}
	if b.tx && endsWatch(err) {
		s.disarm()
	}
	return err
}

// armedBatchOnPrimary sends it once. EXEC that was refused, or provably never written, is a failed
// transaction; one that may have run is its own error.
func (h *Hook) armedBatchOnPrimary(ctx context.Context, e *era, b *batch) error {
	s := b.seat
	part := h.dropForeign(e, b, b.inner())
	if len(part) == 0 {
		return firstErr(b.cmds)
	}
	part = b.restore(&h.code, part)
	err, unwritten := b.send(ctx, part)
	if err == nil && !b.raw {
		h.primary.answered(len(part))
		e.rememberAll(part)
		return firstErr(b.cmds) // of what was not sent
	}
	w := h.weigh(e, b, part, err, unwritten)
	cur := h.hear(ctx, e, w.fault)
	refused := w.again && cur.term != s.term
	if b.tx && redis.IsExecAbortError(err) && w.verdict == Limit {
		refused = cur.term != s.term // something could not be queued, so nothing ran
	}
	if ctx.Err() != nil {
		return h.finish(e, b, err)
	}
	if refused || b.tx && (unwritten || w.now) {
		s.abort()
		s.told = true
		return h.failBatch(b, redis.TxFailedErr)
	}
	return h.finish(e, b, err)
}

// armedBatchOnLocal sends it once, on the session's own connection of local.
func (h *Hook) armedBatchOnLocal(ctx context.Context, e *era, b *batch) error {
	part := h.withhold(ctx, e, b, b.inner())
	if part = h.dropForeign(e, b, part); len(part) == 0 {
		return h.finish(e, b, nil)
	}
	return h.answerBatch(ctx, e, b, part)
}

// failBatch gives every command of a batch that did not run one error.
func (h *Hook) failBatch(b *batch, err error) error {
	for _, cmd := range b.cmds {
		cmd.SetErr(err)
	}
	return err
}

// target is where a batch runs on local: its pool, or a connection of its own.
type target interface {
	Pipeline() redis.Pipeliner
	TxPipeline() redis.Pipeliner
}

// target returns where the batch runs on local.
func (b *batch) target(ctx context.Context, h *Hook) (target, error) {
	if b.seat == nil || !b.seat.armed && !b.seat.dress.changed {
		return h.local, nil
	}
	return b.seat.local(ctx, "", b.seat.armed && !b.holdsSession())
}
