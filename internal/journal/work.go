package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// lostRetries is how often in a row a drain begins again after a connection broke. The position tells
// what was done.
const lostRetries = 2

// work is one drain under way. It is used by one goroutine.
type work struct {
	drain     *Drain
	options   Options
	link      *link
	read      reader
	record    *Record // as it was at now
	now       int64   // local's clock, ms
	fresh     bool    // the record has been looked at
	refolded  int     // times in a row
	ends      ends    // of the streams that were added to
	full      bool    // the last batch ended before the journal did, or there was none yet
	redo      int64   // letters to be sent again
	apart     bool    // commands of different keys are not merged: the primary has not taken such a one
	part      bool    // it is not expected to reach the end
	crowded   bool    // deadlines are to be made good yet
	bad       map[badKey]error
	before    deadlines
	chains    [2]chains
	turn      int           // which of them the last parcel is in
	next      *ahead        // what is being folded
	contents  map[ID]*Entry // what names stand for, that have been marked
	estimates bool          // nothing is delivered
	delivered ID            // what the last batch set the position to
	found     string        // a letter that was found to have been sent
	foundErr  error         // and that it has failed
	lost      int           // connections that broke, in a row
	spent     int64         // commands of links that were closed
	told      int64         // commands that the record knows of
	progress  Progress
}

// badKey is a command that the primary does not queue.
type badKey struct {
	source
	name, key string
}

func badOf(c *command) badKey {
	k := badKey{source: c.from, name: c.args[0]}
	if len(c.args) > 1 {
		k.key = c.args[1]
	}
	return k
}

func (w *work) end() {
	w.discard()
	w.read.close()
	if w.link != nil {
		w.spent += w.link.spent
		w.link.close()
		w.link = nil
	}
	w.progress.Commands = w.spent
}

func (w *work) commands() int64 {
	if w.link != nil {
		return w.spent + w.link.spent
	}
	return w.spent
}

// step makes one step ahead: mostly it delivers a batch. It reports false once nothing is left.
func (w *work) step(ctx context.Context) (more bool, err error) {
	before := w.progress.Batches
	more, err = w.careful(ctx, func() (bool, error) { return w.advance(ctx) })
	if w.options.Progress != nil && w.progress.Batches != before {
		w.options.Progress(w.progress)
	}
	return more, err
}

// careful does something with the link, and reports true if it did or if it has to be done again: the
// position has changed, or the connection broke, and the position tells what was done.
func (w *work) careful(ctx context.Context, do func() (bool, error)) (more bool, err error) {
	defer func() { w.progress.Commands = w.commands() }()
	more, err = do()
	var queue *queueError
	var reply redis.Error
	switch {
	case err == nil:
		w.lost = 0
		return more, nil
	case errors.Is(err, errChanged), errors.Is(err, errArmed), errors.As(err, &queue):
		w.end() // its transaction is spoilt, and the next one may have begun
	case errors.As(err, &reply), errors.Is(err, errStop), errors.Is(err, ErrBudget), ctx.Err() != nil, w.lost == lostRetries:
		w.end()
		return false, err
	default:
		w.end()
		w.lost++
	}
	w.read.reset()
	w.before.known = nil // it may know of what was not delivered
	w.ends, w.contents = nil, nil
	return true, nil
}

// errStop is in errors that trying again does not mend.
var errStop = errors.New("redis fallback: the drain cannot go on")

// advance is a step without its care for errors.
func (w *work) advance(ctx context.Context) (bool, error) {
	if !w.fresh {
		// Without a look at local first a drain of nothing would cost commands.
		if err := w.look(ctx); err != nil {
			return false, err
		}
		w.fresh = true
		if idle, err := w.idle(ctx); idle || err != nil {
			return false, err
		}
	}
	if err := w.afford(6); err != nil {
		return false, err
	}
	pos, finger, err := w.approach(ctx)
	if err != nil || w.record.Serving == Primary {
		return false, err
	}
	if w.next != nil && (w.redo > 0 || !w.next.stands(pos, w.record)) {
		w.discard()
	}
	if done, err := w.mend(ctx, pos, finger); done || err != nil {
		return true, err
	}
	if w.redo > 0 {
		return true, w.resend(ctx, pos, finger)
	}
	return w.batch(ctx, pos, finger)
}

// approach reads the position on the primary, and then the record. finger is the fingerprint that has to
// be written, "" if none.
func (w *work) approach(ctx context.Context) (pos position, finger string, err error) {
	if w.record == nil {
		if err := w.look(ctx); err != nil {
			return pos, "", err
		}
	}
	if w.link != nil && w.link.broken {
		w.end()
	}
	if w.link == nil {
		w.link = newLink(w.drain, w.record.ID)
	}
	pos, finger, fresh, err := w.link.watch(ctx)
	if err != nil {
		return pos, "", err
	}
	// Only what local says after the position was read may be judged by it. Where it was read with the
	// last EXEC, the settling came after that.
	if fresh {
		if err = w.look(ctx); err != nil {
			return pos, "", err
		}
	}
	finger, err = w.recognise(ctx, finger)
	return pos, finger, err
}

// afford ends the drain if it may not send n commands more.
func (w *work) afford(n int64) error {
	if w.options.Budget > 0 && w.commands()+n > w.options.Budget {
		return fmt.Errorf("%w: %d of %d, and the next ones cost %d", ErrBudget, w.commands(), w.options.Budget, n)
	}
	return nil
}

// idle reports that there is nothing to deliver, without asking the primary. Markers that stand before
// everything else are settled.
func (w *work) idle(ctx context.Context) (bool, error) {
	if w.record.Serving == Primary {
		return true, nil
	}
	if w.redo > 0 || w.record.Doubt.After(w.record.Floor) {
		return false, nil
	}
	if err := w.read.start(ctx, w.record, w.record.Floor); err != nil {
		return false, err
	}
	last := w.record.Floor
	for n := 0; ; n++ {
		e, err := w.read.next(ctx, n)
		if err != nil {
			return false, err
		}
		if e != nil && len(e.Commands) == 0 {
			last = e.ID
			continue
		}
		if last.After(w.record.Floor) {
			if err := w.settle(ctx, last, "", nil); err != nil {
				return false, err
			}
		}
		if e != nil {
			return false, nil
		}
		loose, err := w.loose(ctx)
		return !loose, err
	}
}

// loose reports whether there are deadlines to be made good, now that the journal is at its end.
func (w *work) loose(ctx context.Context) (bool, error) {
	if w.part || w.record.Serving == Closing {
		return false, nil
	}
	if err := w.before.load(ctx, w.drain.Store); err != nil {
		return false, err
	}
	for _, loose := range w.before.loose {
		if loose == ample { // others are gone by themselves soon
			return true, nil
		}
	}
	return false, nil
}

// left reports whether there is more to deliver, without asking the primary.
func (w *work) left(ctx context.Context) (bool, error) {
	if w.next != nil || w.redo > 0 || w.record.Epoch != w.read.epoch || w.crowded {
		return true, nil
	}
	e, err := w.read.next(ctx, 0)
	return e != nil, err
}
