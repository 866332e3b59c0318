package journal_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// Not parallel: a mutation is for all of the package.
func TestWithoutItsRulesTheProtocolFails(t *testing.T) { //nolint:tparallel,paralleltest
	for name, c := range map[string]struct {
		bugs journal.Bugs
		want func(r *rig) bool // the damage
	}{
		"NoCompare": {journal.Bugs{NoCompare: true}, func(r *rig) bool {
			r.write("incr n")
			first, once := r.drain(), false
			first.Primary.AddHook(&spy{before: func(name string, cmds []redis.Cmder) error {
				if !once && name == "set" && len(cmds) > 1 {
					once = true
					r.deliver(r.drain())
				}
				return nil
			}})
			r.deliver(first)
			return r.rdb.Get(r.ctx, "n").Val() != "1"
		}},
		"Swap": {journal.Bugs{Swap: true}, func(r *rig) bool {
			r.write("rpush l a")
			r.write("rpush l b")
			r.deliver(r.drain())
			return fmt.Sprint(r.rdb.LRange(r.ctx, "l", 0, -1).Val()) != "[a b]"
		}},
		"NoDoubt": {journal.Bugs{NoDoubt: true}, func(r *rig) bool {
			r.write("incr n")
			d := r.drain()
			lose(d.Primary, "exec", 2)
			d.Store.Client().AddHook(&spy{before: func(string, []redis.Cmder) error {
				if r.rdb.Exists(r.ctx, "n").Val() == 1 {
					return errors.New("dead")
				}
				return nil
			}})
			if _, err := d.Deliver(r.ctx, journal.Options{}); err == nil {
				r.tb.Fatal("it did not die")
			}
			r.check(r.rdb.Del(r.ctx, r.store.PositionKey(r.record().ID)).Err())
			r.deliver(r.drain())
			return r.rdb.Get(r.ctx, "n").Val() != "1"
		}},
		"NoDeadlines": {journal.Bugs{NoDeadlines: true}, func(r *rig) bool {
			r.write("set s v", journal.Deadline{Arg: 1, Ms: r.now() + 60_000})
			r.deliver(r.drain())
			return r.rdb.PTTL(r.ctx, "s").Val() < 0
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want(newRig(t)) {
				t.Fatal("the damage is there without the mutation")
			}
			journal.Mutate = c.bugs
			defer func() { journal.Mutate = journal.Bugs{} }()
			if !c.want(newRig(t)) {
				t.Error("the mutation does no damage that this test can see")
			}
		})
	}
}
