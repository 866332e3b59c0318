package mirror

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Flush waits until all that has been acknowledged before has reached local. It returns ErrFenced while
// the primary does not serve, ErrOff while nothing is mirrored, and ctx' error when that ends first.
func (m *Mirror) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case m.flushes <- done:
	case <-m.ending:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errEnded = errors.New("redis fallback: the mirror is closed")

// Pauses of a flusher that cannot deliver.
const (
	leastPause = 20 * time.Millisecond
	mostPause  = time.Second
)

// flusher is the goroutine that takes the queue to local. All its state is its own.
type flusher struct {
	m *Mirror
	session
	cargo   cargo
	next    int // of cargo.order
	batch   batch
	calls   int64 // the numbers given to calls
	text    string
	begun   bool // what a new fence asks for is done
	waiters []chan error
	pause   time.Duration
	retry   time.Time // not before
	beaten  time.Time
	rotated time.Time
	claimed int64 // when it rotated
	meets   sync.Once
}

func (f *flusher) run() {
	m := f.m
	defer m.running.Done()
	defer f.answer(errEnded)
	f.batch.m = m
	timer := time.NewTimer(0)
	defer timer.Stop()
	f.step() // who waits in Ready waits for this
	for {
		timer.Reset(f.until())
		m.idle.Store(true)
		if f.ready() && m.idle.Load() {
			timer.Reset(m.cfg.Timing.Gather)
		}
		select {
		case <-m.wake:
			if f.pause == 0 {
				f.gather(timer)
			}
		case done := <-m.flushes:
			f.waiters = append(f.waiters, done)
		case <-timer.C:
		case <-m.ending:
			f.leave()
			return
		}
		m.idle.Store(false)
		f.step()
	}
}

// until returns how long there is nothing to do if nobody calls.
func (f *flusher) until() time.Duration {
	next := f.beaten.Add(f.m.cfg.Timing.Beat)
	if r := f.rotated.Add(f.m.cfg.Timing.Rotate); r.Before(next) {
		next = r
	}
	if f.pause > 0 && f.retry.Before(next) {
		next = f.retry
	}
	return max(time.Until(next), time.Millisecond)
}

// ready reports whether there is something to deliver that a call put here before the flusher was idle.
func (f *flusher) ready() bool {
	if f.pause > 0 || f.m.off.Load() != nil {
		return false
	}
	ops, _, _ := f.m.queue.waiting()
	return ops > 0 || f.m.lost.n.Load() > 0 || f.m.empty.Load() || f.next < len(f.cargo.order)
}

// gather waits for what else comes. A batch of one costs as much as one of twenty.
func (f *flusher) gather(timer *time.Timer) {
	timer.Reset(f.m.cfg.Timing.Gather)
	select {
	case <-timer.C:
	case done := <-f.m.flushes:
		f.waiters = append(f.waiters, done)
	case <-f.m.ending: // seen again
	}
}

// step delivers what there is, and does what is due.
func (f *flusher) step() {
	now := time.Now()
	if f.pause > 0 && now.Before(f.retry) && !f.m.closing.Load() {
		return
	}
	err := f.cycle(now)
	switch {
	case err == nil:
		f.pause = 0
		f.answer(nil)
	case errors.Is(err, ErrFenced), errors.Is(err, ErrOff):
		f.pause = 0
		f.answer(err)
	default:
		f.pause = min(max(2*f.pause, leastPause), mostPause)
		f.retry = now.Add(f.pause)
		if f.m.closing.Load() {
			f.answer(err)
		}
	}
}

func (f *flusher) answer(err error) {
	for _, done := range f.waiters {
		done <- err
	}
	f.waiters = f.waiters[:0]
}

func (f *flusher) cycle(now time.Time) error {
	m := f.m
	if err := f.stillOff(now); err != nil {
		return err
	}
	if err := f.connect(); err != nil {
		if m.cfg.Fence() == "" {
			f.shelve()
		}
		return err
	}
	if f.due(now) {
		if err := f.beat(); err != nil {
			return err
		}
	}
	f.look()
	f.meet()
	if f.text == "" {
		f.shelve()
		return ErrFenced
	}
	if err := f.start(); err != nil {
		return err
	}
	if f.next == len(f.cargo.order) {
		m.queue.take(&f.cargo)
		f.next = 0
	}
	if err := f.deliver(); err != nil {
		return err
	}
	return f.deliverNames()
}

// due reports that it is time for a sign of life.
func (f *flusher) due(now time.Time) bool {
	t := &f.m.cfg.Timing
	if now.Sub(f.rotated) >= t.Rotate {
		f.rotated = now
		if n := f.m.counters.claimed.Load(); n != f.claimed || f.m.current.Load().all.Load() {
			f.claimed = n
			f.m.rotate()
		}
	}
	if now.Sub(f.beaten) < t.Beat {
		return false
	}
	f.beaten = now
	return true
}

// look sees whether the primary still serves under the same fence. Whoever says so by Switch may do it a
// moment after the fence has another text.
func (f *flusher) look() {
	text := f.m.cfg.Fence()
	if text == f.text {
		return
	}
	f.text, f.begun = text, false
	f.m.another()
	f.m.seen.Store(&text)
}

func (f *flusher) meet() { f.meets.Do(func() { close(f.m.met) }) }

// shelve keeps only the names of what is queued: it will not be delivered as it is.
func (f *flusher) shelve() {
	f.forgo()
	f.m.queue.take(&f.cargo)
	f.next = 0
	f.forgo()
}

// forgo makes the keys of what is left of the cargo unsure.
func (f *flusher) forgo() {
	for ; f.next < len(f.cargo.order); f.next++ {
		l := &f.cargo.order[f.next]
		f.m.drop(l.text)
		l.gen.leave(l.lane)
	}
}

// deliver sends the cargo, batch by batch.
func (f *flusher) deliver() error {
	for {
		b := &f.batch
		b.reset()
		f.fill(b)
		if b.first > 0 {
			f.m.oldest.Store(b.first)
		}
		drops := f.m.finished(nil)
		if len(b.refs) == 0 && len(b.ended) == 0 && len(drops) == 0 {
			f.m.oldest.Store(0)
			return nil
		}
		err := f.apply(b, drops)
		f.m.oldest.Store(0)
		if err != nil {
			return err
		}
	}
}

// fill puts as much of the cargo into a batch as it takes.
func (f *flusher) fill(b *batch) {
	m := f.m
	fence, stopped, c := m.fence.Load(), m.stopped.Load(), m.clock.Load()
	var o op
	for ; f.next < len(f.cargo.order) && !b.full(); f.next++ {
		l := &f.cargo.order[f.next]
		if l.number == 0 {
			f.calls++
			l.number = f.calls
		}
		if b.first == 0 {
			b.first = l.put
		}
		lo, hi := c.local(l.began, l.ended)
		b.call(l.number, l.began, l.ended, lo, hi)
		unsure := l.fence != fence
		for l.text != "" {
			if b.full() {
				return
			}
			l.text = o.next(l.text)
			b.add(&o, unsure || stopped && o.kind != Gone)
		}
		b.ended = append(b.ended, *l)
	}
}

// deliverNames deletes keys of which only the name is left.
func (f *flusher) deliverNames() error {
	for {
		names := f.m.lost.some(batchOps)
		if len(names) == 0 {
			return nil
		}
		b := &f.batch
		b.reset()
		now := nanos()
		_, hi := f.m.clock.Load().local(now, now)
		f.calls++
		b.call(f.calls, 0, now, 0, hi)
		for _, name := range names {
			db, key := split(name)
			b.op(byte(Unsure), db, key, nil)
		}
		if err := f.apply(b, nil); err != nil {
			return err
		}
	}
}
