package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// mostRefolds bounds how often a batch is folded anew because that took too long.
const mostRefolds = 3

// batch delivers the entries after the position.
func (w *work) batch(ctx context.Context, pos position, finger string) (bool, error) {
	p, err := w.take(ctx, pos)
	if err != nil {
		return false, err
	}
	f, n := p.f, p.n
	upto := cmp.Or(f.last, pos.id)
	commands, dead := w.sort(p.commands)
	w.crowded = f.crowded
	w.full = w.full || f.crowded
	if f.entries == 0 && len(commands) == 0 {
		return false, nil
	}
	for _, e := range f.unread {
		for i, args := range e.Commands {
			dead.add(Letter{Kind: LetterError, Entry: e.ID, Index: i, DB: e.DB, Args: args, Error: e.bad.Error(), Folded: 1})
		}
	}
	if n.Entries == 0 && len(commands) == 0 { // markers
		if err := w.settle(ctx, upto, "", nil); err != nil {
			return false, err
		}
		w.read.drop(f.entries, upto)
		return w.left(ctx)
	}
	if err := w.link.selects(ctx, commands); err != nil {
		return false, err
	}
	if err := w.streamIDs(ctx, commands); err != nil {
		return false, err
	}
	t := transaction{
		to: position{id: upto}, finger: finger, known: w.record.Primary,
		commands: w.unselected(commands, &dead), reset: f.reset, more: w.full && !f.exact,
	}
	if err := w.afford(t.cost()); err != nil {
		return false, err
	}
	doubt := upto
	if Mutate.NoDoubt {
		doubt = ID{}
	}
	if !p.marked {
		if err := w.mark(ctx, w.record, doubt); err != nil {
			return false, err
		}
	}
	if w.now-f.now > leastGrace && w.refolded < mostRefolds {
		// It was asleep, and what had not expired then may have: begin again by the time that it is now.
		w.refolded++
		return true, nil
	}
	w.refolded = 0
	t.now = w.now
	changes := w.before.learn(f)
	w.read.drop(f.entries, upto)
	if t.more && w.options.Budget <= 0 && w.record.Serving != Closing {
		w.foldAhead(ctx, upto)
	}
	errs, err := w.link.exec(ctx, &t)
	if err != nil {
		return false, w.notQueued(t.commands, err)
	}
	refusal := w.judge(t.commands, errs, &dead)
	if err := w.adopted(ctx, finger); err != nil {
		return false, err
	}
	if t.failed != nil {
		// A limit that was met within the transaction. Local remembers what the primary does not know.
		dead.behind = pos.String()
		refusal = cmp.Or(refusal, w.link.judge("position", t.failed))
	}
	if refusal != nil {
		// A key may have lost what it was and not have got what it is, or the other way round.
		if err := w.again(ctx, f.names); err != nil {
			return false, err
		}
		dead.all = slices.DeleteFunc(dead.all, func(l Letter) bool {
			return l.Kind == LetterError && slices.ContainsFunc(f.names, func(n name) bool { return n.entry == l.Entry })
		})
	}
	dead.deadlines = changes
	if err := w.settleAndMark(ctx, upto, &dead); err != nil {
		return false, err
	}
	w.delivered = upto
	w.progress.Entries += n.Entries
	w.progress.Writes += n.Writes
	w.progress.Again += n.Again
	w.progress.Batches++
	if refusal != nil {
		return false, refusal
	}
	return w.left(ctx)
}

// sort takes out what the primary would not queue: it becomes dead letters.
func (w *work) sort(commands []command) ([]command, letters) {
	dead := letters{at: time.UnixMilli(w.now)}
	if len(w.bad) == 0 {
		return commands, dead
	}
	kept := commands[:0]
	for i := range commands {
		c := &commands[i]
		if err := w.bad[badOf(c)]; err != nil {
			dead.add(letterOf(c, LetterError, err))
			continue
		}
		kept = append(kept, *c)
	}
	return kept, dead
}

// unselected takes out what is for databases that the primary does not have.
func (w *work) unselected(commands []command, dead *letters) []command {
	kept := commands[:0]
	for i := range commands {
		if err := w.link.known[commands[i].db]; err != nil {
			dead.add(letterOf(&commands[i], LetterError, err))
			continue
		}
		kept = append(kept, commands[i])
	}
	return kept
}

// notQueued remembers which commands the primary does not take.
func (w *work) notQueued(commands []command, err error) error {
	if queue, ok := errors.AsType[*queueError](err); ok {
		for i, reply := range queue.replies {
			c := &commands[i]
			if c.each > 0 {
				w.apart = true
				continue
			}
			w.bad[badOf(c)] = reply
		}
	}
	return err
}

// judge makes letters of what failed in a transaction that ran, and returns the refusal if there is one
// among them.
func (w *work) judge(commands []command, errs []error, dead *letters) (refusal error) {
	for i, err := range errs {
		if err == nil {
			continue
		}
		refused := w.drain.refuses(err)
		if refused && refusal == nil {
			refusal = fmt.Errorf("%w: inside EXEC: %w", ErrRefused, err)
		}
		if dead.failed(&commands[i], err, refused) {
			w.progress.Renumbered++
		}
	}
	return refusal
}
