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
