package journal_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

func TestNothingIsSentAheadOfItsMark(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 100 {
		r.write(fmt.Sprint("rpush l ", i))
		r.write(fmt.Sprint("incr n", i))
	}
	d := r.drain()
	d.Batch.Commands = 10
	together, sent := 0, 0
	d.Store.Client().AddHook(&spy{before: func(_ string, cmds []redis.Cmder) error {
		if len(cmds) == 2 {
			together++
		}
		return nil
	}})
	d.Primary.AddHook(&spy{before: func(name string, cmds []redis.Cmder) error {
		if len(cmds) < 3 || name != "set" && name != "mset" {
			return nil
		}
		sent++
		to := journal.ParseID(*cmds[0].Args()[2].(*string))
		if rec := r.record(); to.After(rec.Doubt) {
			t.Errorf("entries up to %s are sent, those up to %s are marked", to, rec.Doubt)
		}
		return nil
	}})
	p := r.deliver(d)
	if p.Entries != 200 || int64(sent) != p.Batches || sent < 10 {
		t.Errorf("%+v, %d were sent", p, sent)
	}
	t.Logf("%d of %d batches were marked as the one before was settled", together, sent)
	if n := r.rdb.LLen(r.ctx, "l").Val(); n != 100 {
		t.Errorf("%d in the list", n)
	}
	r.settled()
}

func TestWhatWasFoldedAheadIsForgottenWithTheBatchBefore(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"reply lost", "never sent", "refused"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			later := r.now() + 600_000
			for i := range 100 {
				r.write(fmt.Sprint("rpush l ", i))
				r.write(fmt.Sprint("set k", i, " v"), journal.Deadline{Arg: 1, Ms: later})
			}
			d := r.drain()
			d.Batch.Commands = 10
			execs := 0
			hit := func() bool { return execs == 4 || execs == 8 }
			refusal := limit("ERR max requests limit exceeded")
			d.Primary.AddHook(&spy{
				before: func(name string, _ []redis.Cmder) error {
					if name == "exec" {
						execs++
					}
					switch {
					case name != "exec" || !hit():
					case fault == "never sent":
						return io.EOF
					case fault == "refused":
						return refusal
					}
					return nil
				},
				after: func(name string, _ []redis.Cmder, _ error) error {
					if name == "exec" && hit() && fault == "reply lost" {
						return io.EOF
					}
					return nil
				},
			})
			for n := 0; ; n++ {
				_, err := d.Deliver(r.ctx, journal.Options{})
				if err == nil {
					break
				}
				if !errors.Is(err, journal.ErrRefused) || n == 3 {
					t.Fatal(err)
				}
			}
			var want []string
			for i := range 100 {
				want = append(want, fmt.Sprint(i))
				if left := r.rdb.PTTL(r.ctx, fmt.Sprint("k", i)).Val(); left <= 0 {
					t.Errorf("k%d has %v left", i, left)
				}
			}
			if got := r.rdb.LRange(r.ctx, "l", 0, -1).Val(); !slices.Equal(got, want) {
				t.Errorf("delivered %v", got)
			}
			r.letters(0)
			r.settled()
		})
	}
}

// A name in the middle of entries that are folded ahead: everything before it is on the primary before the
// copy, nothing behind it is, and the copy has all that was written before the mark. What comes after that
// adds another name.
func TestANameIsCopiedInItsPlaceAndInItsFinalState(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.RPush(r.ctx, "whole", "old").Err())
	r.past(1)
	newest := func() journal.ID {
		t.Helper()
		all, err := r.store.Client().XRevRangeN(r.ctx, stream, "+", "-", 1).Result()
		r.check(err)
		return journal.ParseID(all[0].ID)
	}
	var ids []journal.ID // of the counters
	count := func(n int) {
		for range n {
			r.runs(fmt.Sprint("incr n", len(ids)))
			ids = append(ids, newest())
		}
	}
	count(100)
	r.runs("del whole")
	name := newest()
	r.runs("rpush whole 0")
	count(100)

	d := r.drain()
	d.Batch.Commands = 10
	position := r.store.PositionKey(r.record().ID)
	execs, standing, again := 0, 0, 0
	copied := false
	look := func() {
		at := journal.ParseID(r.rdb.Get(r.ctx, position).Val())
		for i, id := range ids {
			if there := r.rdb.Exists(r.ctx, fmt.Sprint("n", i)).Val() == 1; there == id.After(at) {
				t.Errorf("position %s, and whether the entry %s has run: %v", at, id, there)
			}
		}
		list := r.rdb.LRange(r.ctx, "whole", 0, -1).Val()
		switch {
		case name.After(at):
			if !slices.Equal(list, []string{"old"}) {
				t.Errorf("before its turn the key is %v", list)
			}
		case !copied:
			copied = true
			if len(list) != 1+standing || list[0] != "0" {
				t.Errorf("the copy is %v, want what %d writes have left", list, 1+standing)
			}
		}
	}
	d.Primary.AddHook(&spy{
		before: func(what string, _ []redis.Cmder) error {
			if what != "exec" {
				return nil
			}
			if execs++; execs > 18 {
				return nil
			}
			// The next batch is being folded, or has been.
			before := newest()
			r.runs(fmt.Sprint("rpush whole ", execs))
			if newest() == before {
				standing++
			} else {
				again++
			}
			return nil
		},
		after: func(what string, _ []redis.Cmder, err error) error {
			if what == "exec" {
				look()
			}
			return err
		},
	})
	p := r.deliver(d)
	if p.Batches < 20 || !copied {
		t.Errorf("%d batches, copied %v", p.Batches, copied)
	}
	if standing < 5 || again == 0 {
		t.Errorf("of %d writes during the delivery the name stood for %d, and %d added another one", execs, standing, again)
	}
	r.same()
	r.letters(0)
	if rec := r.record(); rec.Floor != newest() || rec.Doubt != (journal.ID{}) {
		t.Errorf("floor %s of %s, in doubt %s", rec.Floor, newest(), rec.Doubt)
	}
}
