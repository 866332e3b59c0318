package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// mostReading bounds how long a batch is read. Writers that are quicker than local can be read would
// otherwise be followed for as many entries as a batch may have, while nothing is delivered.
const mostReading = 200 * time.Millisecond

// mostRefolds bounds how often a batch is folded anew because that took too long.
const mostRefolds = 3

// batch delivers the entries after the position.
func (w *work) batch(ctx context.Context, pos position, finger string) (bool, error) {
	if err := w.read.start(ctx, w.record, pos.id); err != nil {
		return false, err
	}
	if w.before.known == nil || pos.id != w.delivered { // or another drain knows more
		if err := w.before.load(ctx, w.drain.Store); err != nil {
			return false, err
		}
	}
	f, n, err := w.fold(ctx)
	if err != nil {
		return false, err
	}
	upto := cmp.Or(f.last, pos.id)
	commands, dead := w.sort(f.finish())
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
	read := w.record
	if err := w.mark(ctx, read, doubt); err != nil {
		return false, err
	}
	if w.now-f.now > leastGrace && w.refolded < mostRefolds {
		// It was asleep, and what had not expired then may have: begin again by the time that it is now.
		w.refolded++
		return true, nil
	}
	w.refolded = 0
	t.now = w.now
	w.read.prefetch(ctx, 2*f.entries)
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
		dead.all = slices.DeleteFunc(dead.all, func(l Letter) bool { return l.Kind == LetterError && w.contents[l.Entry] != nil })
	}
	dead.deadlines = w.before.learn(f)
	if err := w.settle(ctx, upto, "", &dead); err != nil {
		return false, err
	}
	w.delivered = upto
	w.read.drop(f.entries, upto)
	w.progress.Entries += n.Entries
	w.progress.Writes += n.Writes
	w.progress.Again += n.Again
	w.progress.Batches++
	if refusal != nil {
		return false, refusal
	}
	return w.left(ctx)
}

// fold reads as many entries as one transaction may deliver, and counts them.
func (w *work) fold(ctx context.Context) (f *folder, n Progress, err error) {
	bounds := w.drain.Batch.orDefault()
	f = newFolder(w.now, w.drain.home(), bounds, !w.apart, w.before, &w.chains)
	f.part, f.shut = w.part, w.record.Serving == Closing
	if left := w.options.Budget - w.commands() - 3; w.options.Budget > 0 && left <= int64(bounds.Commands) {
		f.bounds.Commands, f.exact = int(max(left, 1)), true
	}
	began := time.Now()
	for {
		if f.entries%64 == 63 && time.Since(began) > mostReading {
			w.full = true
			return f, n, nil
		}
		e, err := w.read.next(ctx, f.entries)
		if err != nil {
			return nil, n, err
		}
		w.full = e != nil
		f.end = e == nil
		var names []name
		if e != nil {
			names = namesOf(e)
			if e, err = w.written(ctx, e, f.entries); err != nil {
				return nil, n, err
			}
		}
		if e == nil || !f.add(e) {
			return f, n, nil
		}
		f.names = append(f.names, names...)
		if len(e.Commands) == 0 {
			continue
		}
		n.Entries++
		n.Writes += int64(len(e.Commands))
		if !e.ID.After(w.record.Floor) {
			n.Again++
		}
	}
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
