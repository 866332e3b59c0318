package fallback

import (
	"context"
	"slices"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis/go-redis/v9"
)

// serveBatch answers a part of a batch, or a whole transaction, from local.
func (h *Hook) serveBatch(ctx context.Context, e *era, b *batch, part []redis.Cmder) error {
	part = h.withhold(ctx, e, b, part)
	if part = h.dropForeign(e, b, part); len(part) == 0 {
		return h.finish(e, b, nil)
	}
	return h.answerBatch(ctx, e, b, part)
}

func (h *Hook) answerBatch(ctx context.Context, e *era, b *batch, part []redis.Cmder) error {
	ctx, span := h.replayingBatch(ctx, e, b, part)
	err := h.answerPart(ctx, e, b, part)
	span.endBatch(b, part, err)
	return err
}

func (h *Hook) answerPart(ctx context.Context, e *era, b *batch, part []redis.Cmder) error {
	if notes, ok := h.notes(e, part); ok {
		if b.code {
			part = h.code.withBodies(part, func(*script) bool { return true })
			h.code.carry(ctx, Local, h.local.Process)
			notes, _ = h.notes(e, part)
		}
		return h.journaledBatch(ctx, e, b, part, notes)
	}
	ticket, ok := h.backup.breaker.Allow()
	if !ok {
		h.bothFailed(e, b, part, ErrLocalDown)
		return firstErr(b.cmds)
	}
	if b.code {
		part = h.code.withBodies(part, func(*script) bool { return true })
		h.code.carry(ctx, Local, h.local.Process)
	}
	on, err := b.target(ctx, h)
	switch {
	case err != nil:
	case b.seat != nil && on != target(h.local):
		b.clear(part)
		sent := slices.Clone(part)
		sent[0] = &once{Cmder: part[0]}
		if err = b.onLocal(ctx, on, sent); err != nil && !isReply(err) {
			b.seat.broken()
		}
	default:
		err = h.sendBatchLocal(ctx, b, part)
	}
	worst := err
	if isReply(err) {
		// The replies are the commands' own; one that says that local cannot serve weighs most.
		for _, cmd := range part {
			if cerr := cmd.Err(); gravity[Detect(nil, cerr)] > gravity[Detect(nil, worst)] {
				worst = cerr
			}
		}
	}
	failed := 0
	switch v := h.localVerdict(ctx, ticket, worst); v {
	case Cancelled:
		failed = len(part)
		if b.tx && err != nil {
			return err
		}
	case Answered:
		if b.tx && err != nil {
			h.answeredLocally(ctx, len(part))
			return err // EXECABORT, say, while the command that led to it has its own
		}
	case Unknown, Limit, Capacity, Busy, Denied, Lost:
		failed = h.bothFailed(e, b, part, plainLocal(worst))
	}
	h.answeredLocally(ctx, len(part)-failed)
	h.missedIn(part)
	e.rememberAll(part)
	if e.reason == ReasonStorage {
		b.deleteOnPrimary(ctx, part)
	}
	if first := firstErr(b.cmds); first != nil {
		return first
	}
	return err
}

// sendBatchLocal sends a part, or a whole transaction. What must not run twice is sent again only where
// it was refused or never written, and only that.
func (h *Hook) sendBatchLocal(ctx context.Context, b *batch, part []redis.Cmder) error {
	b.clear(part)
	if b.twice {
		return b.onLocal(ctx, h.local, part)
	}
	wait := h.retryBackoff()
	for {
		sent := slices.Clone(part)
		m, _ := mark(sent)
		err := b.onLocal(ctx, h.local, sent)
		if err == nil || ctx.Err() != nil {
			return err
		}
		redo, now := b.again(part, m, err)
		if len(redo) == 0 || !now && !pause(ctx, h.era.Load(), wait.NextBackOff()) {
			return err
		}
		part = redo
		b.clear(part)
	}
}

// onLocal makes one attempt.
func (b *batch) onLocal(ctx context.Context, local target, part []redis.Cmder) error {
	p := local.Pipeline()
	if b.tx {
		p = local.TxPipeline()
	}
	if err := p.BatchProcess(ctx, part...); err != nil {
		return err
	}
	_, err := p.Exec(ctx)
	return err
}

// withhold refuses what must stay on the primary, and returns the rest. A transaction that holds one
// such command is refused as a whole.
func (h *Hook) withhold(ctx context.Context, e *era, b *batch, part []redis.Cmder) []redis.Cmder {
	if h.cfg.only == nil && ctx.Value(onlyKey{}) == nil {
		return part
	}
	rest := make([]redis.Cmder, 0, len(part))
	for _, cmd := range part {
		if !h.primaryOnly(ctx, cmd) {
			rest = append(rest, cmd)
		}
	}
	if len(rest) == len(part) {
		return part
	}
	h.withheld.Add(int64(len(part) - len(rest)))
	if b.tx {
		h.withheld.Add(int64(len(rest)))
		for _, cmd := range b.cmds {
			cmd.SetErr(e.refusal())
		}
		return nil
	}
	for _, cmd := range part {
		if h.primaryOnly(ctx, cmd) {
			cmd.SetErr(e.refusal())
		}
	}
	return rest
}

// bothFailed gives every command that local did not answer an error with both causes. It returns how many
// of the part were sent to local for nothing; localVerdict has counted one of them.
func (h *Hook) bothFailed(e *era, b *batch, part []redis.Cmder, local error) (failed int) {
	all := len(part)
	if b.tx {
		part = b.cmds
	}
	both := &Error{Primary: h.plain(e, e.refusal()), Local: local}
	for _, cmd := range part {
		if cerr := cmd.Err(); local == ErrLocalDown || cerr != nil && Detect(nil, cerr) != Answered { //nolint:errorlint // ours
			cmd.SetErr(both)
			failed++
		}
	}
	if failed = min(failed, all); failed > 0 && local != ErrLocalDown { //nolint:errorlint // ours
		h.backup.unanswered.Add(int64(failed - 1))
	}
	return failed
}

// deleteOnPrimary repeats the deletions of a batch on a primary whose storage is full, or it could
// never become well.
func (b *batch) deleteOnPrimary(ctx context.Context, part []redis.Cmder) {
	var dels []redis.Cmder
	for _, cmd := range part {
		if command.Of(cmd.Args()).Has(command.Deletes) {
			dels = append(dels, cmd.Clone())
		}
	}
	if len(dels) == 0 {
		return
	}
	if b.tx {
		dels = append([]redis.Cmder{redis.NewStatusCmd(ctx, "multi")}, append(dels, redis.NewSliceCmd(ctx, "exec"))...)
	}
	_ = b.next(ctx, dels)
}
