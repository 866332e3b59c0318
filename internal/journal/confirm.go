package journal

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// confirmAtOnce is how many letters one script writes, and how many commands one pipeline asks with.
const confirmAtOnce = 500

// confirm settles what somebody has delivered who did not see the replies, or not yet: it finds out what
// has failed. A death in between lets the next one find out again, and letters of the same commands
// replace each other.
func (w *work) confirm(ctx context.Context, upto ID) error {
	q := newInquiry(w.drain.home(), w.neverQueued)
	read := w.record
	var n int64
	err := w.between(ctx, upto, func(e *Entry) error {
		if len(e.Commands) > 0 {
			n++
		}
		// Nobody has seen whether the primary took all that the key is made of.
		if err := w.again(ctx, namesOf(e)); err != nil {
			return err
		}
		q.note(e)
		return nil
	})
	if err != nil {
		return err
	}
	if err = w.ask(ctx, q); err != nil {
		return err
	}
	dead := letters{at: time.UnixMilli(w.now)}
	var last ID
	due := dueAfterwards{home: w.drain.home(), at: map[place]int64{}}
	q.at = 0
	err = w.between(ctx, upto, func(e *Entry) error {
		due.note(e)
		if len(dead.all) >= confirmAtOnce {
			if err := w.settleRead(ctx, read, last, &dead); err != nil {
				return err
			}
			dead = letters{at: dead.at}
		}
		last = e.ID
		q.judge(e, func(i int, v verdict) { w.tell(e, i, v, &dead) })
		return nil
	})
	if err != nil {
		return err
	}
	w.progress.Unconfirmed += n
	dead.deadlines = due.changes()
	w.before.known = nil // read again with the next batch
	return w.settleRead(ctx, read, upto, &dead)
}

// settleRead settles entries that were read under a record, if it has not changed: a stream that was renamed
// meanwhile may have been missed. And only from this floor: another one may have settled them, and an
// operator dropped some of the letters since.
func (w *work) settleRead(ctx context.Context, read *Record, upto ID, dead *letters) error {
	floor := w.record.Floor.String()
	if err := w.mark(ctx, read, ID{}); err != nil {
		return err
	}
	return w.settle(ctx, upto, floor, dead)
}

// tell makes a letter of a command that has failed, or may have.
func (w *work) tell(e *Entry, i int, v verdict, dead *letters) {
	l := Letter{
		Kind: LetterError, Entry: e.ID, Index: i, DB: e.DB, Args: e.Commands[i], Error: v.err.Error(), Doubt: v.doubt, Folded: 1,
	}
	if v.doubt {
		l.Kind = LetterDoubt
	}
	for _, d := range e.Deadlines {
		if d.Command == i {
			l.Deadlines = append(l.Deadlines, Deadline{Arg: d.Arg, Ms: d.Ms})
		}
	}
	if v.anew && l.renumber(v.err) {
		w.progress.Renumbered++
	}
	dead.add(l)
}

// between calls do with the entries after the floor, up to an id. It does not hold them.
func (w *work) between(ctx context.Context, upto ID, do func(*Entry) error) error {
	r := reader{store: w.drain.Store}
	defer r.close()
	if err := r.start(ctx, w.record, w.record.Floor); err != nil {
		return err
	}
	for {
		e, err := r.next(ctx, 0)
		if err != nil || e == nil || e.ID.After(upto) {
			return err
		}
		if err := do(e); err != nil {
			return err
		}
		r.drop(1, e.ID)
	}
}

// neverQueued returns what the primary said of a command that this drain has left out of its batch. What
// was folded has the source of its first command.
func (w *work) neverQueued(e *Entry, args []string) error {
	if len(w.bad) == 0 || len(args) < 2 {
		return nil
	}
	h := hows[strings.ToLower(args[0])]
	for bad, err := range w.bad {
		if bad.key == args[1] && hows[strings.ToLower(bad.name)] == h && e.ID.Compare(bad.id) >= 0 {
			return err
		}
	}
	return nil
}

// confirmLetters finds out which of the letters that were sent again have failed.
func (w *work) confirmLetters(ctx context.Context, all []Letter) ([]Letter, error) {
	q := newInquiry(w.drain.home(), w.neverQueued)
	entries := make([]Entry, len(all))
	for i := range all {
		l := &all[i]
		entries[i] = Entry{ID: l.Entry, Kind: KindWrite, DB: l.DB, Commands: [][]string{l.Args}, Deadlines: l.Deadlines}
		q.note(&entries[i])
	}
	if err := w.ask(ctx, q); err != nil {
		return nil, fmt.Errorf("letters that were sent again: %w", err)
	}
	q.at = 0
	var dead []Letter
	for i := range all {
		q.judge(&entries[i], func(_ int, v verdict) {
			l := all[i]
			l.Kind, l.Error, l.Doubt, l.Tries = LetterError, v.err.Error(), v.doubt, l.Tries+1
			if v.doubt {
				l.Kind = LetterDoubt
			}
			if v.anew {
				l.renumber(v.err)
			}
			dead = append(dead, l)
		})
	}
	return dead, nil
}
