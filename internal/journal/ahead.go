package journal

import (
	"context"
	"time"
)

// mostReading bounds how long a batch is read. Writers that are quicker than local can be read would
// otherwise be followed for as many entries as a batch may have, while nothing is delivered.
const mostReading = 200 * time.Millisecond

// parcel is what one transaction delivers: the entries that fit in, folded.
type parcel struct {
	f        *folder
	n        Progress // what they count for
	full     bool     // it ends before the journal does
	named    bool     // it ends before a name, whose turn has not come
	commands []command
	marked   bool // as being delivered
}

// ahead is a parcel that is folded while the one before it is under way. It stands on that one's being
// delivered: if it is not, both are forgotten.
//
// Only folding is done ahead. What is sent is marked first, and the mark says whether the record is still
// the one that the entries were read under. So it ends before a name: what that stands for is read after
// its mark, and the mark makes the writes that come next write it down once more.
type ahead struct {
	parcel
	rec  *Record // as it was when the reading began
	from ID      // the entries are those after it
	err  error
	done chan struct{}
	stop context.CancelFunc
}

// parcel reads as many entries as one transaction may deliver.
func (w *work) parcel(ctx context.Context) (parcel, error) {
	p := parcel{f: w.folder()}
	err := p.fill(ctx, &w.read, w.record.Floor, w.written)
	w.full = p.full
	return p, err
}

// folder returns one for the next parcel. The memory of the one before may be in use yet.
func (w *work) folder() *folder {
	w.turn = 1 - w.turn
	bounds := w.drain.Batch.orDefault()
	f := newFolder(w.now, w.drain.home(), bounds, !w.apart, w.before, &w.chains[w.turn])
	f.part, f.shut = w.part, w.record.Serving == Closing
	if left := w.options.Budget - w.commands() - 3; w.options.Budget > 0 && left <= int64(bounds.Commands) {
		f.bounds.Commands, f.exact = int(max(left, 1)), true
	}
	return f
}

// fill reads and folds entries, and counts them. written gives what a name stands for; without it the
// parcel ends before the first one.
func (p *parcel) fill(
	ctx context.Context, r *reader, floor ID, written func(context.Context, *Entry, int) (*Entry, error),
) error {
	began := time.Now()
	for {
		if p.f.entries%64 == 63 && time.Since(began) > mostReading {
			p.full = true
			return nil
		}
		e, err := r.next(ctx, p.f.entries)
		if err != nil {
			return err
		}
		p.full = e != nil
		p.f.end = e == nil
		if e == nil {
			return nil
		}
		var names []name
		if e.Kind == KindName {
			if written == nil {
				p.named = true
				return nil
			}
			names = namesOf(e)
			if e, err = written(ctx, e, p.f.entries); err != nil {
				return err
			}
		}
		if !p.f.add(e) {
			return nil
		}
		if e.bad == nil { // else its state is not what the name stood for
			p.f.names = append(p.f.names, names...)
		}
		if len(e.Commands) == 0 {
			continue
		}
		p.n.Entries++
		p.n.Writes += int64(len(e.Commands))
		if !e.ID.After(floor) {
			p.n.Again++
		}
	}
}

// foldAhead begins to fold what follows a parcel that is about to be sent. Until it is taken or forgotten
// the reader and what is known of deadlines are its own.
func (w *work) foldAhead(ctx context.Context, upto ID) {
	// The context of a step ends with it.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	a := &ahead{parcel: parcel{f: w.folder()}, rec: w.record, from: upto, done: make(chan struct{}), stop: stop}
	w.next = a
	floor := w.record.Floor
	go func() {
		defer close(a.done)
		if a.err = a.fill(ctx, &w.read, floor, nil); a.err == nil {
			a.commands = a.f.finish()
			w.read.prefetch(ctx, 2*a.f.entries)
		}
	}()
}

// take returns what follows the position.
func (w *work) take(ctx context.Context, pos position) (parcel, error) {
	if a := w.next; a != nil {
		select {
		case <-a.done:
		case <-ctx.Done():
			return parcel{}, ctx.Err()
		}
		w.next, w.full = nil, a.full
		if a.err != nil || a.f.entries > 0 || !a.named {
			return a.parcel, a.err
		}
		// A name is the first of it. Nothing was taken of what the reader holds, so that goes on; to take
		// the parcel as it is would be to find the journal at its end.
	}
	if err := w.read.start(ctx, w.record, pos.id); err != nil {
		return parcel{}, err
	}
	if w.before.known == nil || pos.id != w.delivered { // or another drain knows more
		if err := w.before.load(ctx, w.drain.Store); err != nil {
			return parcel{}, err
		}
	}
	p, err := w.parcel(ctx)
	if err == nil {
		p.commands = p.f.finish()
	}
	return p, err
}

// folded reports whether there is something to be marked.
func (a *ahead) folded() bool {
	select {
	case <-a.done:
		return a.err == nil && a.f.entries > 0
	default:
		return false
	}
}

// stands reports whether what was folded ahead is what follows the position.
func (a *ahead) stands(pos position, rec *Record) bool {
	return pos == position{id: a.from, present: true} &&
		rec.ID == a.rec.ID && rec.Epoch == a.rec.Epoch && rec.Serving == a.rec.Serving
}

// discard lets go of what was folded ahead. It is read again from the position.
func (w *work) discard() {
	a := w.next
	if a == nil {
		return
	}
	a.stop()
	<-a.done
	w.next = nil
	w.read.reset()
	w.before.known = nil
}
