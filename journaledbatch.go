package fallback

import (
	"context"
	"errors"

	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// notes returns what is known of the effects of a part of a batch, and whether the journal must hold any.
func (h *Hook) notes(e *era, part []redis.Cmder) ([]journal.Noted, bool) {
	if e.rec == nil || h.journal() == nil {
		return nil, false
	}
	notes, any := make([]journal.Noted, len(part)), false
	for i, cmd := range part {
		args := cmd.Args()
		notes[i] = h.share.store.Note(args)
		any = any || notes[i].Note.Code != command.NoteNothing
	}
	return notes, any
}

// journaledBatch answers a part of a batch, or a whole transaction, from local with its entries in the
// journal, and what is left of it from the primary, if that serves meanwhile.
func (h *Hook) journaledBatch(ctx context.Context, e *era, b *batch, part []redis.Cmder, notes []journal.Noted) error {
	s := h.share
	b.clear(part)
	for fenced := 0; len(part) > 0; {
		var err error
		if e, err = s.await(ctx, e); err != nil {
			return h.failPart(e, b, part, h.localError(ctx, e, e.refusal(), err))
		}
		if b.seat != nil && b.seat.armed && (e.serving == Primary || e.term != b.seat.term) {
			b.seat.abort()
			b.seat.told = true
			return h.failBatch(b, redis.TxFailedErr)
		}
		if e.serving == Primary {
			return h.restOnPrimary(ctx, b, part)
		}
		ticket, ok := h.backup.breaker.Allow()
		if !ok {
			h.bothFailed(e, b, part, ErrLocalDown)
			return firstErr(b.cmds)
		}
		s.slow(ctx, e)
		var done int
		if b.tx {
			done, err = s.transaction(ctx, e, b, part, notes)
		} else {
			done, err = s.pipeline(ctx, e, b, part, notes)
		}
		if journal.Fenced(err) || errors.Is(err, errFenced) {
			h.backup.breaker.Done(ticket, breaker.Success)
			fenced++
			h.backup.answered(done)
			part, notes = part[done:], notes[done:]
			b.clear(part)
			if e, err = s.elsewhere(ctx, fenced); err != nil {
				return h.failPart(e, b, part, h.localError(ctx, e, e.refusal(), err))
			}
			continue
		}
		if journal.Full(err) {
			h.backup.breaker.Done(ticket, breaker.Success)
			s.turnedAway.Add(int64(len(part) - done))
			return h.failPart(e, b, part[done:], &Error{Primary: h.plain(e, e.refusal()), Local: ErrJournalFull})
		}
		worst := err
		for _, cmd := range part[:done] {
			if cerr := cmd.Err(); gravity[Detect(nil, cerr)] > gravity[Detect(nil, worst)] {
				worst = cerr
			}
		}
		v := h.localVerdict(ctx, ticket, worst)
		h.backup.answered(done)
		e.rememberAll(part[:done])
		if v != Answered && v != Cancelled {
			for _, cmd := range part[done:] { // none of it was sent, or all of it was lost
				cmd.SetErr(worst)
			}
			h.bothFailed(e, b, part, plainLocal(worst))
			return firstErr(b.cmds)
		}
		if err != nil { // what is left did not run, and would come to the same again
			for _, cmd := range part[done:] {
				cmd.SetErr(err)
			}
			return err
		}
		s.noted.Add(1)
		if e.reason == ReasonStorage {
			b.deleteOnPrimary(ctx, part[:done])
		}
		part, notes = part[done:], notes[done:]
	}
	return firstErr(b.cmds)
}

// failPart gives the commands that did not run one error.
func (h *Hook) failPart(e *era, b *batch, part []redis.Cmder, err error) error {
	if b.tx {
		part = b.cmds
	}
	for _, cmd := range part {
		cmd.SetErr(err)
	}
	return h.finish(e, b, firstErr(b.cmds))
}

// restOnPrimary sends to the primary what local has not answered.
func (h *Hook) restOnPrimary(ctx context.Context, b *batch, part []redis.Cmder) error {
	rest := &batch{in: b.in, next: b.next, cmds: part, seat: b.seat, stays: b.stays}
	if b.tx {
		rest.cmds = append(append([]redis.Cmder{b.cmds[0]}, part...), b.cmds[len(b.cmds)-1])
	}
	if b.seat != nil {
		if err := b.seat.dressPrimary(ctx, b.in.next); err != nil {
			return h.failBatch(rest, h.plain(h.era.Load(), err))
		}
	}
	if err := h.ordinaryBatch(ctx, rest); err != nil && !isReply(err) {
		return err
	}
	return firstErr(b.cmds)
}

// item is some commands of a pipeline that travel as one: a read as it is, or writes in one call.
type item struct {
	cmds []redis.Cmder
	call *redis.RawCmd // of several
	one  *scripted     // of one
	args []any
}

// pipeline sends the commands up to the first that must go by itself: what waits, and what cannot stand
// in a script. It returns how many were answered; with an error of a fence, from where on nothing ran.
func (s *share) pipeline(ctx context.Context, e *era, b *batch, part []redis.Cmder, notes []journal.Noted) (int, error) {
	alone := func(n *journal.Noted) bool { return n.Note.Timeout > 0 || n.Note.Code == command.NoteMulti }
	if alone(&notes[0]) {
		c := &call{in: b.in, seat: b.seat, cmd: part[0], class: command.Of(notes[0].Args)}
		err := s.write(ctx, e, c, notes[0])
		part[0].SetErr(err)
		if err != nil && (journal.Fenced(err) || errors.Is(err, errFenced) || journal.Full(err)) {
			return 0, err
		}
		return 1, nil
	}
	n := 1
	for n < len(part) && !alone(&notes[n]) {
		n++
	}
	items := s.items(ctx, e, b.seat, part[:n], notes[:n])
	conn, err := b.target(ctx, s.h)
	if err != nil {
		return 0, err
	}
	if err := s.exchange(ctx, b, conn, items); err != nil {
		return 0, err
	}
	done := 0
	for i := range items {
		if err := s.received(ctx, b, conn, &items[i]); err != nil {
			return done, err
		}
		done += len(items[i].cmds)
	}
	return done, nil
}

// items puts writes that follow each other into one call.
func (s *share) items(ctx context.Context, e *era, seat *seat, part []redis.Cmder, notes []journal.Noted) []item {
	w := journal.Write{Fence: e.rec.Fence(), Kind: journal.KindWrite, RESP3: s.resp3}
	w.DB, w.Label = s.database(seat)
	var items []item
	for i := 0; i < len(part); {
		if notes[i].Note.Code == command.NoteNothing {
			items = append(items, item{cmds: part[i : i+1]})
			i++
			continue
		}
		n, args := i, 0
		for n < len(part) && notes[n].Note.Code != command.NoteNothing && (n == i || args+len(notes[n].Args) <= journal.MaxArgs) {
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

// received gives the commands of an item their replies. The error says that nothing of it ran.
func (s *share) received(ctx context.Context, b *batch, conn target, it *item) error {
	for attempt := 0; ; attempt++ {
		var refusal error
		switch {
		case it.call != nil:
			refusal = s.spread(it)
		case it.one != nil:
			if refusal = it.cmds[0].Err(); refusal == nil {
				exact(it.cmds[0])
			}
		}
		switch {
		case refusal == nil, it.call == nil && it.one == nil:
			return nil
		case journal.Fenced(refusal), journal.Full(refusal):
			return refusal
		case unknownScript(refusal) && attempt == 0:
			again := item{cmds: it.cmds, args: s.store.Body(it.args)}
			if it.call != nil {
				again.call = redis.NewRawCmd(ctx, again.args...)
			} else {
				again.one = &scripted{Cmder: it.cmds[0], args: again.args}
			}
			*it = again
			if err := s.exchange(ctx, b, conn, []item{*it}); err != nil {
				return err
			}
			continue
		}
		for _, cmd := range it.cmds { // of the call as a whole: local is busy, or its memory full
			cmd.SetErr(refusal)
		}
		return nil
	}
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
