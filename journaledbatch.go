package fallback

import (
	"context"
	"errors"

	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/journal"
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
	if s.inOurs(b.seat) {
		return h.failPart(e, b, part, &Error{Primary: h.plain(e, e.refusal()), Local: errOurDatabase})
	}
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
			h.passedOn(ctx)
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
			h.answeredLocally(ctx, done)
			part, notes = part[done:], notes[done:]
			b.clear(part)
			if e, err = s.elsewhere(ctx, fenced); err != nil {
				return h.failPart(e, b, part, h.localError(ctx, e, e.refusal(), err))
			}
			continue
		}
		if journal.KeysWanted(err) {
			h.backup.breaker.Done(ticket, breaker.Success)
			h.backup.answered(done)
			s.keys.Store(true)
			part, notes = part[done:], notes[done:]
			b.clear(part)
			continue
		}
		if journal.Full(err) {
			h.backup.breaker.Done(ticket, breaker.Success)
			s.turnedAway.Add(int64(len(part) - done))
			return h.failPart(e, b, part[done:], &Error{Primary: h.plain(e, e.refusal()), Local: ErrJournalFull})
		}
		worst := err
		for _, cmd := range part[:done] {
			if cerr := cmd.Err(); !errors.Is(cerr, ErrJournalFull) && gravity[Detect(nil, cerr)] > gravity[Detect(nil, worst)] {
				worst = cerr
			}
		}
		v := h.localVerdict(ctx, ticket, worst)
		e.rememberAll(part[:done])
		if v != Answered && v != Cancelled {
			for _, cmd := range part[done:] { // none of it was sent, or all of it was lost
				cmd.SetErr(worst)
			}
			failed := h.bothFailed(e, b, part, plainLocal(worst))
			h.answeredLocally(ctx, len(part)-failed)
			return firstErr(b.cmds)
		}
		h.answeredLocally(ctx, done)
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

// pipeline sends the commands up to the first that must go by itself: what waits, and what cannot stand
// in a script. It returns how many were answered; with an error of a fence, from where on nothing ran.
func (s *share) pipeline(ctx context.Context, e *era, b *batch, part []redis.Cmder, notes []journal.Noted) (int, error) {
	alone := func(n *journal.Noted) bool { return n.Note.Timeout > 0 || n.Note.Code == command.NoteMulti }
	if alone(&notes[0]) {
		c := &call{in: b.in, seat: b.seat, cmd: part[0], class: command.Of(notes[0].Args)}
		err := s.write(ctx, e, c, notes[0])
		part[0].SetErr(err)
		if journal.Full(err) && s.keys.Load() {
			s.turnAway(e, part[:1])
			return 1, nil
		}
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
		if unknownScript(items[i].refusal()) {
			if err := s.sendWhole(ctx, b, conn, items[i:]); err != nil {
				return done, err
			}
		}
		if err := s.received(&items[i]); journal.Full(err) && s.keys.Load() {
			s.turnAway(e, items[i].cmds)
		} else if err != nil {
			return done, err
		}
		done += len(items[i].cmds)
	}
	return done, nil
}

// turnAway refuses commands that a journal which keeps names has no room for. What stands behind them in the
// pipeline may have run: it says that of each by itself.
func (s *share) turnAway(e *era, cmds []redis.Cmder) {
	s.turnedAway.Add(int64(len(cmds)))
	for _, cmd := range cmds {
		cmd.SetErr(&Error{Primary: s.h.plain(e, e.refusal()), Local: ErrJournalFull})
	}
}
