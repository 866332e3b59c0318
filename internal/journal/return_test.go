package journal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// count counts the commands that a client sends.
func count(rdb *redis.Client) *atomic.Int64 {
	var n atomic.Int64
	rdb.AddHook(&spy{before: func(_ string, cmds []redis.Cmder) error {
		n.Add(int64(len(cmds)))
		return nil
	}})
	return &n
}

func TestAReturnOfNothingCostsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.drain()
	n := count(d.Primary)
	v, err := d.Return(r.ctx, journal.Options{Reason: "test"})
	r.check(err)
	if v.Record.Serving != journal.Primary || v.Record.Reason != "test" || n.Load() != 0 {
		t.Errorf("%+v after %d commands", v.Record, n.Load())
	}
	// The next journal begins behind the marker that the primary was never told of.
	_, _, err = r.store.Change(r.ctx, v.Record, journal.Change{What: journal.Trip})
	r.check(err)
	r.write("incr n")
	v, err = r.drain().Return(r.ctx, journal.Options{})
	r.check(err)
	r.wants("n", "1")
	if v.Record.Serving != journal.Primary {
		t.Errorf("%+v", v.Record)
	}
	// And one more, where the position is there and older than the floor.
	for range 2 {
		v, _, err = r.store.Change(r.ctx, v.Record, journal.Change{What: journal.Trip})
		r.check(err)
		v, err = r.drain().Return(r.ctx, journal.Options{})
		r.check(err)
	}
	_, _, err = r.store.Change(r.ctx, v.Record, journal.Change{What: journal.Trip})
	r.check(err)
	r.write("incr n")
	if p := r.deliver(r.drain()); p.Again != 0 || p.Entries != 1 {
		t.Errorf("%+v", p)
	}
	r.wants("n", "2")
}

// writer is one that writes as the product does: an entry only while local serves, and in the journal of
// then.
const writerLua = `
if redis.call('HGET', KEYS[1], 'serving') ~= 'local' then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV))
return tonumber(redis.call('HGET', KEYS[1], 'pace')) + 1`

func (r *rig) writers(n int, stop <-chan struct{}, pause time.Duration) (*sync.WaitGroup, *atomic.Int64) {
	var wg sync.WaitGroup
	var acked atomic.Int64
	for i := range n {
		wg.Go(func() {
			rdb := r.client(r.local, journal.DefaultDatabase)
			wait := pause
			e := journal.Entry{Kind: journal.KindWrite, Commands: [][]string{{"incr", fmt.Sprint("n", i)}}}
			args := make([]any, 0, 2)
			for _, f := range e.Fields() {
				args = append(args, f)
			}
			for {
				select {
				case <-stop:
					return
				default:
				}
				pace, err := rdb.Eval(context.Background(), writerLua, []string{"fallback:test:state", "fallback:test:journal"}, args...).Int64()
				if err == nil && pace > 0 {
					acked.Add(1)
					wait = max(pause, time.Duration(pace-1)*time.Microsecond)
				}
				time.Sleep(wait) // what it was asked to wait, and its own rhythm
			}
		})
	}
	return &wg, &acked
}

func (r *rig) sum(n int) (sum int64) {
	for i := range n {
		v, _ := r.rdb.Get(r.ctx, fmt.Sprint("n", i)).Int64()
		sum += v
	}
	return sum
}

func TestAReturnWithWritersLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := make(chan struct{})
	wg, acked := r.writers(4, stop, 100*time.Microsecond)
	for acked.Load() < 500 {
		time.Sleep(time.Millisecond)
	}
	v, err := r.drain().Return(r.ctx, journal.Options{})
	close(stop)
	wg.Wait()
	r.check(err)
	if v.Record.Serving != journal.Primary || v.Record.Pace != 0 {
		t.Errorf("%+v", v.Record)
	}
	if got := r.sum(4); got != acked.Load() {
		t.Errorf("%d on the primary, %d were acknowledged", got, acked.Load())
	}
	r.letters(0)
}

func TestAReturnThatIsRefusedIsUndone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	d := r.drain()
	shut := false
	d.Store.Client().AddHook(&spy{after: func(_ string, cmds []redis.Cmder, _ error) error {
		for _, cmd := range cmds {
			for _, arg := range cmd.Args() {
				if arg == "shut" && !shut {
					shut = true
				}
			}
		}
		return nil
	}, before: func(_ string, cmds []redis.Cmder) error {
		// One more write just before the journal is shut, so that there is something to refuse.
		for _, arg := range cmds[0].Args() {
			if arg == "shut" && !shut {
				r.write("incr n")
			}
		}
		return nil
	}})
	d.Primary.AddHook(&spy{before: func(string, []redis.Cmder) error {
		if shut {
			return limit("ERR max requests limit exceeded")
		}
		return nil
	}})
	if _, err := d.Return(r.ctx, journal.Options{}); !errors.Is(err, journal.ErrRefused) {
		t.Fatal(err)
	}
	rec := r.record()
	if rec.Serving != journal.Local || !shut {
		t.Fatalf("%+v", rec)
	}
	r.wants("n", "1")
	r.write("incr n")
	_, err := r.drain().Return(r.ctx, journal.Options{})
	r.check(err)
	r.wants("n", "3")
}

func TestAPrimaryThatHangsWhileTheJournalIsShutKeepsNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	d := r.drain()
	hung := false
	d.Store.Client().AddHook(&spy{before: func(_ string, cmds []redis.Cmder) error {
		for _, arg := range cmds[0].Args() {
			if arg == "shut" && !hung {
				hung = true
				r.write("incr n")
				r.primary.Hang()
			}
		}
		return nil
	}})
	if _, err := d.Return(r.ctx, journal.Options{}); !errors.Is(err, journal.ErrLate) {
		t.Error(err)
	}
	if rec := r.record(); rec.Serving != journal.Local || !hung {
		t.Errorf("%+v", rec)
	}
	r.primary.Resume()
	r.write("incr n")
	_, err := r.drain().Return(r.ctx, journal.Options{})
	r.check(err)
	r.wants("n", "3")
}

func TestWritersThatOutrunTheDrainAreSlowed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop, seen := make(chan struct{}), make(chan struct{})
	wg, acked := r.writers(4, stop, 0)
	for acked.Load() < 2000 {
		time.Sleep(time.Millisecond)
	}
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if r.record().Pace > 0 {
				close(seen)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	d := r.drain()
	d.Batch.Entries = 2
	v, err := d.Return(r.ctx, journal.Options{})
	close(stop)
	wg.Wait()
	r.check(err)
	select {
	case <-seen:
	default:
		t.Error("nobody was slowed")
	}
	if v.Record.Pace != 0 || r.record().Pace != 0 {
		t.Errorf("they are still: %+v", v.Record)
	}
	if got := r.sum(4); got != acked.Load() {
		t.Errorf("%d on the primary, %d were acknowledged", got, acked.Load())
	}
}

func TestAReturnThatOthersUndoBeginsAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	d := r.drain()
	undone := false
	d.Store.Client().AddHook(&spy{before: func(_ string, cmds []redis.Cmder) error {
		for _, arg := range cmds[0].Args() {
			if arg == "finish" && !undone {
				undone = true
				_, done, err := r.store.Change(r.ctx, r.record(), journal.Change{What: journal.Undo})
				if err != nil || !done {
					t.Errorf("undo: %v, %v", done, err)
				}
				r.write("incr n")
			}
		}
		return nil
	}})
	v, err := d.Return(r.ctx, journal.Options{})
	r.check(err)
	if v.Record.Serving != journal.Primary || !undone {
		t.Errorf("%+v", v.Record)
	}
	r.wants("n", "2")
}

func TestAReturnTakesOverAShutJournal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	_, done, err := r.store.Change(r.ctx, r.record(), journal.Change{What: journal.Shut})
	if err != nil || !done {
		t.Fatal(done, err)
	}
	v, err := r.drain().Return(r.ctx, journal.Options{})
	if errors.Is(err, journal.ErrLate) {
		t.Skip("this machine is slower than the journal may be shut")
	}
	r.check(err)
	if v.Record.Serving != journal.Primary {
		t.Errorf("%+v", v.Record)
	}
	r.wants("n", "1")
}

func TestOneReturnAtATime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, _, err := r.store.Take(r.ctx, journal.Drainer, "other", time.Minute)
	r.check(err)
	if _, err := r.drain().Return(r.ctx, journal.Options{}); !errors.Is(err, journal.ErrHeld) {
		t.Error(err)
	}
}

func TestWhatIsHeldOnLocalStaysThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	pin := journal.Local
	_, _, err := r.store.Change(r.ctx, r.record(), journal.Change{What: journal.Pins, Pin: &pin})
	r.check(err)
	if _, err := r.drain().Return(r.ctx, journal.Options{}); !errors.Is(err, journal.ErrPinned) {
		t.Error(err)
	}
	if rec := r.record(); rec.Serving != journal.Local {
		t.Errorf("%+v", rec)
	}
}
