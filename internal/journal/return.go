package journal

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/pace.lua
var paceLua string

var paceScript = redis.NewScript(paceLua)

// Errors of a return.
var (
	// ErrHeld is about a role that another process has.
	ErrHeld = errors.New("redis fallback: another process drains the journal")
	// ErrLate is about a journal that could not be delivered while it was shut: it is open again.
	ErrLate = errors.New("redis fallback: the rest of the journal was not delivered in time")
	// ErrPinned is about a service that an operator holds on local.
	ErrPinned = errors.New("redis fallback: an operator holds the service on local")
)

// tooLate is how often others may change the record first.
const tooLate = 2

// undoTime bounds the undoing of a return whose context may be over.
const undoTime = time.Second

// Return gives the service back to the primary: it delivers the journal while local serves, shuts it once
// what is left fits in one transaction, delivers that, and makes the primary serve. It returns the record
// that holds then, also with an error, if it has seen one. A journal that nothing was written to costs the primary not one command.
//
// With an error local serves as before, and what was delivered stays delivered. The error is that of
// Deliver, ErrHeld, ErrLate or ErrPinned.
//
// While the journal is shut writers wait, and a primary that hangs then must not keep them: its client
// wants ContextTimeoutEnabled, or a read time-out of ClosingTime or less.
func (d *Drain) Return(ctx context.Context, o Options) (View, error) {
	mine, _, err := d.Store.Take(ctx, Drainer, d.ID, LeaseTime)
	if err != nil {
		return View{}, err
	}
	if !mine {
		return View{}, ErrHeld
	}
	r := &returning{work: d.begin(o), renewed: time.Now()}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		r.end()
		if r.pace > 0 {
			_ = r.slow(ctx, 0)
		}
		_ = d.Store.Release(ctx, Drainer, d.ID)
	}()
	if err := r.plan(ctx); err != nil {
		return View{}, err
	}
	for {
		v, done, err := r.round(ctx)
		if err != nil {
			r.undo(ctx)
			return r.view(), err
		}
		if done {
			return v, nil
		}
	}
}

// returning is one return under way.
type returning struct {
	*work
	renewed time.Time // the lease
	late    int

	pace  time.Duration // what was asked of writers
	since time.Time     // when the rate began to be measured
	taken int64         // entries until then
	lag   int64         // how far behind the delivery was then, ms of ids
}

// round makes one step, and whatever change it allows.
func (r *returning) round(ctx context.Context) (View, bool, error) {
	if time.Since(r.renewed) > LeaseTime/3 {
		if _, _, err := r.drain.Store.Take(ctx, Drainer, r.drain.ID, LeaseTime); err != nil {
			return View{}, false, err
		}
		r.renewed = time.Now()
	}
	more, err := r.hurry(ctx)
	if err != nil {
		return View{}, false, err
	}
	rec := r.record
	switch {
	case rec == nil || more && rec.Serving != Closing && r.full:
		return View{}, false, r.mind(ctx)
	case rec.Serving == Primary:
		return r.view(), true, nil
	case rec.Pin == Local:
		return View{}, false, ErrPinned
	case rec.Serving == Local:
		_, done, err := r.change(ctx, Shut)
		return View{}, false, r.tooLate(done, err)
	case more:
		return View{}, false, nil
	}
	v, done, err := r.change(ctx, Finish)
	return v, done, r.tooLate(done, err)
}

// tooLate ends a return whose changes come too late again and again: the record is another one each time.
func (r *returning) tooLate(done bool, err error) error {
	if err == nil && !done {
		if r.late++; r.late > tooLate {
			return ErrLate
		}
	}
	return err
}

func (r *returning) view() View {
	if r.record == nil {
		return View{}
	}
	return View{Record: r.record, Now: time.UnixMilli(r.now)}
}

// hurry is a step that takes no longer than the journal may be shut.
func (r *returning) hurry(ctx context.Context) (bool, error) {
	if r.record == nil || r.record.Serving != Closing {
		return r.step(ctx)
	}
	left := ClosingTime - time.UnixMilli(r.now).Sub(r.record.Since)
	if left <= 0 {
		return false, ErrLate
	}
	deadline := time.Now().Add(left)
	short, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	more, err := r.step(short)
	// A busy machine ends what is read before it tells the context.
	if err != nil && ctx.Err() == nil && !time.Now().Before(deadline) {
		err = fmt.Errorf("%w: %w", ErrLate, err)
	}
	return more, err
}

// change changes the record, and makes the next step begin with what it is then.
func (r *returning) change(ctx context.Context, what What) (View, bool, error) {
	v, done, err := r.drain.Store.Change(ctx, r.record, Change{What: what, Reason: r.options.Reason, By: r.drain.ID})
	if err != nil {
		return View{}, false, err
	}
	r.record, r.now, r.fresh, r.full = v.Record, v.Now.UnixMilli(), false, true
	return v, done, nil
}

// undo opens the journal again if it is shut.
func (r *returning) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if r.record != nil && r.record.Serving == Closing {
		_, _, _ = r.change(ctx, Undo) // or anybody does, a little later
	}
}

// How the pace of writers is chosen.
const (
	paceEvery = 500 * time.Millisecond
	mostPace  = 100 * time.Millisecond
)

// mind slows writers down if the drain does not get ahead of them.
func (r *returning) mind(ctx context.Context) error {
	if r.record == nil {
		return nil
	}
	lag := r.now - int64(r.record.Floor.Ms)
	past := time.Since(r.since)
	if !r.since.IsZero() && past < paceEvery {
		return nil
	}
	before := r.since
	taken := r.progress.Entries - r.taken
	was := r.lag
	r.since, r.taken, r.lag = time.Now(), r.progress.Entries, lag
	if before.IsZero() || taken == 0 || lag < was-past.Milliseconds()/4 {
		return nil
	}
	// Half of what the drain delivers, for each writer. With several it takes another round.
	pace := max(2*past/time.Duration(taken), 2*r.pace, time.Microsecond)
	return r.slow(ctx, min(pace, mostPace))
}

func (r *returning) slow(ctx context.Context, pace time.Duration) error {
	s := r.drain.Store
	r.pace = pace
	return paceScript.Run(ctx, s.rdb, []string{s.state()}, r.record.ID, pace.Microseconds(), s.Channel()).Err()
}
