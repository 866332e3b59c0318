package fallback_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// Past its first limit the journal has the names of keys alone, and each way of writing goes on with what
// local holds whole. In the end the primary has what local has.
func TestPastTheFirstLimitKeysAreCopied(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			t.Parallel()
			x := newTrio(t, protocol, fallback.WithJournal(fallback.JournalConfig{Entries: 5}))
			x.pin(t, fallback.Local)
			for range 6 {
				x.rdb.Incr(ctx, "before")
			}
			eventually(t, "the first limit", func() bool { return x.h.Status().Journal.NamesOnly })
			full := func(what string, err error) {
				t.Helper()
				var both *fallback.Error
				if !errors.Is(err, fallback.ErrJournalFull) || !errors.As(err, &both) {
					t.Errorf("%s: %v, want ErrJournalFull", what, err)
				}
			}
			ok := func(err error) {
				t.Helper()
				if err != nil {
					t.Error(err)
				}
			}
			ok(x.rdb.Set(ctx, "k", 1, 0).Err())
			n := x.entries(t)
			for range 100 {
				ok(x.rdb.Incr(ctx, "k").Err())
			}
			if m := x.entries(t); m != n {
				t.Errorf("writes to a key whose name is there left %d entries", m-n)
			}
			_, err := x.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Del(ctx, "h")
				p.HSet(ctx, "h", "f", 1)
				p.HGetAll(ctx, "h")
				return nil
			})
			ok(err)
			ok(x.rdb.Watch(ctx, func(tx *redis.Tx) error {
				_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.HIncrBy(ctx, "h", "f", 1).Err() })
				return err
			}, "h"))
			// In a pipeline what cannot be done says so by itself.
			cmds, _ := x.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, "a", 1, 0)
				p.Rename(ctx, "before", "k")
				p.Eval(ctx, "return redis.call('set', KEYS[1], 1)", []string{"e"})
				p.Get(ctx, "a")
				p.Incr(ctx, "before")
				return nil
			})
			ok(errors.Join(cmds[0].Err(), cmds[3].Err(), cmds[4].Err()))
			full("a rename over a key whose name is there", cmds[1].Err())
			full("a script", cmds[2].Err())
			full("a script", x.rdb.Eval(ctx, "return redis.call('set', KEYS[1], 1)", []string{"e"}).Err())
			ok(x.rdb.LPush(ctx, "list", 1).Err())
			x.pin(t, fallback.Primary)
			x.sameData(t, 0)
			if s := x.h.Status().Journal; s.Dead != 0 {
				t.Errorf("%+v", s)
			}
			eventually(t, "the names are gone", func() bool { return !x.h.Status().Journal.NamesOnly })
		})
	}
}

// The same effects on keys that local holds whole are delivered by their names. What such a journal does
// not take is refused, and has done nothing.
func TestEveryEffectOnAKeyThatIsWholeReachesThePrimary(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			t.Parallel()
			x := newTrio(t, protocol, fallback.WithJournal(fallback.JournalConfig{Entries: 1}))
			for _, s := range x.servers() {
				s.Set(ctx, "payload", "v", 0)
			}
			x.pin(t, fallback.Local)
			x.rdb.Ping(ctx)
			eventually(t, "the first limit", func() bool { return x.h.Status().Journal.NamesOnly })
			for _, e := range effects {
				if e.name == "flushall" || e.name == "flushdb" {
					continue
				}
				for _, text := range append([]string{"UNLINK K L"}, append(strings.Split(e.seed, ";"), e.call)...) {
					line := x.line(e.name, text)
					if len(line) == 0 {
						continue
					}
					got, err := x.rdb.Do(ctx, line...).Result()
					if errors.Is(err, fallback.ErrJournalFull) {
						if !e.code && !e.odd && e.name != "sort store" {
							t.Errorf("%s: %s is refused", e.name, text)
						}
						continue
					}
					if want := answered(x.bare.Do(ctx, line...).Result()); !e.luck && answered(got, err) != want {
						t.Errorf("%s: %s answers %q, want %q", e.name, text, answered(got, err), want)
					}
				}
			}
			x.pin(t, fallback.Primary)
			x.sameData(t, 0)
			if j := x.h.Status().Journal; j.Dead != 0 {
				t.Errorf("%+v", j)
			}
		})
	}
}
