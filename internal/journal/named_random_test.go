package journal_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
)

var calls = strings.FieldsFunc(`set s v|set s v|set s v ex 1000|set s v keepttl|setnx s v|getset s v|getdel s|mset s v s v|msetnx s v s v
incrby s v|incrby s v|append s v|setrange s v v|del k|del k|unlink k k|expire k 1000|persist k|flushdb
rpush l v v|rpush l v|lpush l v|lpop l|lrem l 0 v|lset l 0 v|lmove l l left right|rpoplpush l l
sadd m v v|sadd m v|srem m v|smove m m v|sunionstore m m m|sinterstore m m m|sdiffstore m m m|del m|del m
hset h v v|hset h v v|hdel h v|hincrby h v 1|hsetnx h v v
zadd z v v|zadd z gt v v|zpopmin z|zincrby z v v|zunionstore z 2 z z|zrangestore z z 0 1|zunionstore z 2 z m
rename m m|rename l l|rename k k|copy m m replace|copy z z|renamenx s s|copy k k replace`, func(r rune) bool { return r == '|' || r == '\n' })

// some is a random call of one or several commands, whose replies do not depend on anything random.
func some(rnd *rand.Rand) []string {
	// Each type has keys of its own, so that most commands do something; now and then one meets another type.
	key := func(kind string) string {
		if rnd.IntN(20) == 0 {
			kind = []string{"s", "l", "m", "h", "z"}[rnd.IntN(5)]
		}
		return fmt.Sprint(kind, rnd.IntN(4))
	}
	value := func() string { return strconv.Itoa(rnd.IntN(6)) }
	one := func() string {
		var words []string
		// A letter is a key, v a value.
		for word := range strings.FieldsSeq(calls[rnd.IntN(len(calls))]) {
			switch word {
			case "s", "l", "m", "h", "z":
				word = key(word)
			case "k":
				word = key([]string{"s", "l", "m", "h", "z"}[rnd.IntN(5)])
			case "v":
				word = value()
			}
			words = append(words, word)
		}
		if words[0] == "flushdb" && rnd.IntN(5) > 0 {
			words = []string{"set", key("s"), value()}
		}
		return strings.Join(words, " ")
	}
	lines := []string{one()}
	for rnd.IntN(5) == 0 {
		lines = append(lines, one())
	}
	if rnd.IntN(4) == 0 {
		lines[0] = "3:" + lines[0]
	}
	return lines
}

// serve has local serve with the journal open, past its first limit, or past its second one near the end.
func (r *rig) serve(n int) {
	r.tb.Helper()
	if rec := r.record(); rec.Serving == journal.Primary {
		_, _, err := r.store.Change(r.ctx, rec, journal.Change{What: journal.Trip})
		r.check(err)
	}
	limit := int64(1)
	if n < 1400 {
		limit = max(r.store.Client().XLen(r.ctx, stream).Val(), 1)
	}
	_, err := r.store.Tick(r.ctx, &journal.Process{ID: "p", Serving: journal.Local}, journal.Limits{Entries: limit})
	r.check(err)
}

// TestNamesComeToTheSameAsOperations runs the same writes on two locals: the journal of one passes its
// limits, and its drains fail, die and meet each other at any step; the other keeps every operation. In
// the end their primaries are the same. Some of these knew things that local did not; the others have
// what local has, and took all of it.
func TestNamesComeToTheSameAsOperations(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rnd := rand.New(rand.NewPCG(seed, 1))
			a, b := newRig(t), newRig(t)
			cold := i%2 == 0
			for n := 0; cold && n < 30; n++ { // before the trip
				lines := some(rnd)
				for _, r := range []*rig{a, b} {
					db := 0
					for _, line := range lines {
						rest := line
						if len(line) > 2 && line[:2] == "3:" {
							db, rest = 3, line[2:]
						}
						_ = r.client(r.primary, db).Do(r.ctx, words(rest)...).Err()
					}
				}
			}
			stop := make(chan struct{})
			var returns atomic.Int64
			var drains sync.WaitGroup
			for j := range 2 {
				d := a.drain()
				d.ID = fmt.Sprint("d", j)
				d.Batch.Commands = 20
				d.Primary.AddHook(trouble(seed+uint64(j), 8))
				d.Store.Client().AddHook(trouble(seed+uint64(10+j), 40))
				drains.Go(func() {
					rnd := rand.New(rand.NewPCG(seed, uint64(2+j)))
					for {
						select {
						case <-stop:
							return
						default:
						}
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rnd.IntN(20))*time.Millisecond)
						if rnd.IntN(6) > 0 {
							_, _ = d.Deliver(ctx, journal.Options{})
						} else if v, err := d.Return(ctx, journal.Options{}); err == nil && v.Record.Serving == journal.Primary {
							returns.Add(1)
						}
						cancel()
					}
				})
			}
			refused := 0
			for n := range 1500 {
				lines := some(rnd)
				err := a.run(lines...)
				for ; journal.Fenced(err); err = a.run(lines...) {
					a.serve(n)
				}
				if n%50 == 40 {
					a.serve(n)
				}
				if journal.Full(err) {
					refused++
					continue
				}
				if other := b.run(lines...); fmt.Sprint(err) != fmt.Sprint(other) {
					t.Fatalf("%q: %v, with operations %v", lines, err, other)
				}
			}
			close(stop)
			drains.Wait()
			for _, r := range []*rig{a, b} {
				var err error
				for _, id := range []string{"d0", "d1"} { // what one that died has left
					r.check(r.store.Release(r.ctx, journal.Drainer, id))
				}
				for range 50 {
					if _, err = r.drain().Return(r.ctx, journal.Options{}); err == nil {
						break
					}
				}
				r.check(err)
			}
			for _, db := range []int{0, 3} {
				if here, there := keyspace(a, a.client(a.primary, db)), keyspace(b, b.client(b.primary, db)); here != there {
					t.Errorf("in database %d names have come to\n%s and operations to\n%s", db, here, there)
				}
			}
			x, _ := a.store.Letters(a.ctx, 0)
			y, _ := b.store.Letters(b.ctx, 0)
			for _, l := range append(x, y...) {
				// With other keys there, operations fail; the copy of a key never does.
				if !l.Doubt && !cold || l.Args[0] == journal.NameName {
					t.Errorf("%+v", l)
				}
			}
			if !cold {
				a.same(3)
			}
			t.Logf("%d returns, %d calls refused; %d and %d dead letters", returns.Load(), refused, len(x), len(y))
		})
	}
}

func words(line string) (args []any) {
	for word := range strings.FieldsSeq(line) {
		args = append(args, word)
	}
	return args
}
