package journal_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

func TestEachEntryIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 10 {
		r.write("incr n")
	}
	r.write("rpush l a")
	r.write("set s 1")
	d := r.drain()
	p := r.deliver(d)
	if p.Entries != 12 || p.Writes != 12 || p.Batches != 1 {
		t.Errorf("%+v", p)
	}
	r.wants("n", "10", "s", "1")
	r.settled()
	if again := r.deliver(d); again.Commands != 0 || again.Entries != 0 {
		t.Errorf("a drain of nothing: %+v", again)
	}
	r.write("incr n")
	r.deliver(r.drain())
	r.wants("n", "11")
	r.settled()
	if rec := r.record(); rec.Primary == "" || rec.Spent == 0 {
		t.Errorf("%+v", rec)
	}
}

// lose makes a client lose the connection after its nth command of that name was sent.
func lose(rdb *redis.Client, name string, n int) {
	seen := 0
	rdb.AddHook(&spy{after: func(got string, _ []redis.Cmder, _ error) error {
		if got == name {
			if seen++; seen == n {
				return io.EOF
			}
		}
		return nil
	}})
}

func TestAnExecWhoseReplyIsLostIsNotRepeated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 5 {
		r.write("incr n")
	}
	d := r.drain()
	lose(d.Primary, "exec", 2)
	p := r.deliver(d)
	if p.Unconfirmed != 5 {
		t.Errorf("%+v", p)
	}
	r.wants("n", "5")
	r.settled()
}

func TestADrainThatDiesBeforeItSettlesIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	d := r.drain()
	boom := errors.New("dead")
	execs := 0
	d.Primary.AddHook(&spy{after: func(name string, _ []redis.Cmder, _ error) error {
		if name == "exec" {
			execs++
		}
		return nil
	}})
	d.Store.Client().AddHook(&spy{before: func(name string, _ []redis.Cmder) error {
		if name == "evalsha" && execs == 2 {
			return boom
		}
		return nil
	}})
	if _, err := d.Deliver(r.ctx, journal.Options{}); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	r.write("incr n")
	r.deliver(r.drain())
	r.wants("n", "2")
	r.settled()
}

func TestTwoDrainsPausedBetweenAnyTwoStepsDeliverOnce(t *testing.T) {
	t.Parallel()
	for _, pauseAt := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14} {
		t.Run(fmt.Sprint(pauseAt), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.write("incr n")
			r.write("rpush l a")
			first := r.drain()
			step := 0
			other := &spy{before: func(string, []redis.Cmder) error {
				if step++; step == pauseAt {
					r.deliver(r.drain())
					r.write("incr n")
					r.write("rpush l b")
				}
				return nil
			}}
			first.Primary.AddHook(other)
			first.Store.Client().AddHook(other)
			r.deliver(first)
			r.deliver(r.drain())
			want, n := "[a b]", "2"
			if step < pauseAt {
				want, n = "[a]", "1"
			}
			r.wants("n", n)
			if got := fmt.Sprint(r.rdb.LRange(r.ctx, "l", 0, -1).Val()); got != want {
				t.Errorf("l is %s, want %s", got, want)
			}
			r.letters(0)
			r.settled()
		})
	}
}

func TestAPositionThatIsGoneWithNothingInDoubtIsSetFromTheFloor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	r.deliver(r.drain())
	r.check(r.rdb.Del(r.ctx, r.store.PositionKey(r.record().ID)).Err())
	r.write("incr n")
	r.deliver(r.drain())
	r.wants("n", "2")
	r.letters(0)
	r.settled()
}

func TestAPositionThatIsGoneBuriesWhatWasInDoubt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	r.write("set k v", journal.Deadline{Command: 0, Arg: 1, Ms: r.now() + 60_000})
	d := r.drain()
	gone := errors.New("dead")
	n := 0
	d.Primary.AddHook(&spy{before: func(name string, _ []redis.Cmder) error {
		if name == "exec" {
			if n++; n == 2 {
				return gone
			}
		}
		return nil
	}})
	if _, err := d.Deliver(r.ctx, journal.Options{}); !errors.Is(err, gone) && err != nil {
		t.Fatal(err)
	}
	r.settled() // it began again, since its connection broke

	// Now it dies for good, and the position goes away.
	r.write("incr n")
	d = r.drain()
	d.Primary.AddHook(&spy{before: func(name string, _ []redis.Cmder) error {
		if name == "exec" {
			return gone
		}
		return nil
	}})
	if _, err := d.Deliver(r.ctx, journal.Options{}); !errors.Is(err, gone) {
		t.Fatal(err)
	}
	if rec := r.record(); rec.Doubt != r.last {
		t.Fatalf("not in doubt: %+v", rec)
	}
	r.check(r.rdb.Del(r.ctx, r.store.PositionKey(r.record().ID)).Err())
	in := r.last
	r.write("incr m")
	r.deliver(r.drain())
	r.wants("n", "1", "m", "1")
	l := r.letters(1)[0]
	if l.Kind != journal.LetterDoubt || !l.Doubt || l.Entry != in || fmt.Sprint(l.Args) != "[incr n]" {
		t.Errorf("%+v", l)
	}
	r.settled()
	r.check(r.drain().Retry(r.ctx, l.ID))
	r.wants("n", "2")
	r.letters(0)
}

func TestAPrimaryThatRolledBackGetsItsEntriesAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	r.deliver(r.drain())
	old := r.rdb.Get(r.ctx, r.store.PositionKey(r.record().ID)).Val()
	r.write("incr n")
	r.write("set k 1")
	r.deliver(r.drain())
	r.check(r.rdb.Set(r.ctx, r.store.PositionKey(r.record().ID), old, 0).Err())
	r.check(r.rdb.Set(r.ctx, "n", 1, 0).Err())
	r.check(r.rdb.Del(r.ctx, "k").Err())
	r.write("incr n")
	if p := r.deliver(r.drain()); p.Again != 2 {
		t.Errorf("%+v", p)
	}
	r.wants("n", "3", "k", "1")
	r.settled()
}

func TestARefusalAnywhereLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for at := 1; ; at++ {
		r.write("incr n")
		r.write("rpush l x")
		d := r.drain()
		d.Batch.Commands = 4
		n, hit := 0, false
		d.Primary.AddHook(&spy{before: func(string, []redis.Cmder) error {
			if n++; n == at {
				hit = true
				return limit("ERR max requests limit exceeded. Limit: 5, Usage: 5")
			}
			return nil
		}})
		_, err := d.Deliver(r.ctx, journal.Options{})
		if hit && !errors.Is(err, journal.ErrRefused) {
			t.Fatalf("refused at %d: %v", at, err)
		}
		r.deliver(r.drain())
		r.wants("n", fmt.Sprint(at))
		if got := r.rdb.LLen(r.ctx, "l").Val(); got != int64(at) {
			t.Fatalf("refused at %d: %d in the list", at, got)
		}
		r.letters(0)
		r.settled()
		if !hit {
			return
		}
	}
}

type limit string

func (l limit) Error() string { return string(l) }
func (limit) RedisError()     {}
