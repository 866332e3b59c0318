package fallback

import (
	"context"
	"errors"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// item is some commands of a pipeline that travel as one: a read as it is, or writes in one call.
type item struct {
	cmds []redis.Cmder
	call *redis.RawCmd // of several
	one  *scripted     // of one
	args []any
}

// items puts writes that follow each other into one call.
func (s *share) items(ctx context.Context, e *era, seat *seat, part []redis.Cmder, notes []journal.Noted) []item {
	w := journal.Write{Fence: e.rec.Fence(), Kind: journal.KindWrite, RESP3: s.resp3, Keys: s.keys.Load()}
	w.DB, w.Label = s.database(seat)
	var items []item
	for i := 0; i < len(part); {
		if notes[i].Note.Code == command.NoteNothing {
			items = append(items, item{cmds: part[i : i+1]})
			i++
			continue
		}
		n, args := i, 0
		// A journal that keeps names may refuse one, and must not refuse the others with it.
		for n < len(part) && (!w.Keys || n == i) && notes[n].Note.Code != command.NoteNothing && (n == i || args+len(notes[n].Args) <= journal.MaxArgs) {
			args += len(notes[n].Args)
			n++
		}
		it := item{cmds: part[i:n]}
		w.Many = n-i > 1 || hidesErrors(part[i])
		it.args = s.store.Args(w, notes[i:n])
		if w.Many {
			it.call = redis.NewRawCmd(ctx, it.args...)
		} else {
			it.one = &scripted{Cmder: part[i], args: it.args}
		}
		items = append(items, it)
		i = n
	}
	return items
}

// sent is the command that travels for an item.
func (it *item) sent() redis.Cmder {
	switch {
	case it.call != nil:
		return it.call
	case it.one != nil:
		return it.one
	}
	return it.cmds[0]
}

// exchange sends the items, and again only if none of it was written or local refused the connection.
func (s *share) exchange(ctx context.Context, b *batch, conn target, items []item) error {
	sent := make([]redis.Cmder, len(items))
	wait := s.h.retryBackoff()
	for {
		for i := range items {
			sent[i] = items[i].sent()
			sent[i].SetErr(nil)
		}
		o := &once{Cmder: sent[0]}
		sent[0] = o
		err := b.onLocal(ctx, plainly{conn}, sent)
		if err == nil || isReply(err) {
			return nil // the replies are their own
		}
		if b.seat != nil && conn != target(s.h.local) {
			b.seat.broken()
			return err
		}
		if o.written.Load() && !staleOnly(err) || ctx.Err() != nil || !pause(ctx, s.h.era.Load(), wait.NextBackOff()) {
			return err
		}
	}
}

// plainly is a target for batches that are no transactions to go-redis.
type plainly struct{ target }

// TxPipeline is a plain pipeline: what is one step is a script.
func (p plainly) TxPipeline() redis.Pipeliner { return p.Pipeline() }

// refusal is the error that the call of an item came to as a whole, as it came.
func (it *item) refusal() error {
	switch {
	case it.call == nil && it.one == nil:
		return nil
	case it.one != nil:
		return it.cmds[0].Err()
	case it.call.Err() != nil:
		return it.call.Err()
	}
	return errorIn(it.call.Val())
}

// sendWhole sends calls again with their scripts, which local did not have: it was started again, or they
// were flushed. The reads behind the first one go once more, too: they have not seen what it writes.
func (s *share) sendWhole(ctx context.Context, b *batch, conn target, items []item) error {
	_ = s.store.Load(ctx) // all of them, or a call that local knows could overtake one that it does not
	var again []item
	for i := range items {
		it := &items[i]
		switch {
		case it.call == nil && it.one == nil:
		case !unknownScript(it.refusal()):
			continue
		case it.call != nil:
			it.args = s.store.Body(it.args)
			it.call = redis.NewRawCmd(ctx, it.args...)
		default:
			it.args = s.store.Body(it.args)
			it.one = &scripted{Cmder: it.cmds[0], args: it.args}
		}
		again = append(again, *it)
	}
	return s.exchange(ctx, b, conn, again)
}

// received gives the commands of an item their replies. The error says that nothing of it ran.
func (s *share) received(it *item) error {
	var refusal error
	switch {
	case it.call != nil:
		refusal = s.spread(it)
	case it.one != nil:
		if refusal = it.cmds[0].Err(); refusal == nil {
			exact(it.cmds[0])
		}
	}
	if journal.Fenced(refusal) || journal.Full(refusal) || journal.KeysWanted(refusal) {
		return refusal
	}
	if it.call != nil && refusal != nil { // of the call as a whole: local is busy, or its memory full
		for _, cmd := range it.cmds {
			cmd.SetErr(refusal)
		}
	}
	return nil
}

// spread hands the replies of a call to its commands.
func (s *share) spread(it *item) error {
	if err := it.call.Err(); err != nil {
		return err
	}
	raw := it.call.Val()
	if err := errorIn(raw); err != nil {
		return err
	}
	if err := s.replies.Answer(raw, it.cmds); err != nil {
		return err
	}
	for _, cmd := range it.cmds {
		exact(cmd)
	}
	return nil
}

// staleOnly reports an error of a connection that had ended before anything was written.
func staleOnly(err error) bool { return errors.Is(err, wire.ErrStale) }
