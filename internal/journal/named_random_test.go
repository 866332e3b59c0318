package journal_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
)

// some is a random call of one or several commands, whose replies do not depend on anything random.
func some(rnd *rand.Rand) []string {
	key := func() string { return fmt.Sprint("k", rnd.IntN(10)) }
	value := func() string { return fmt.Sprint(rnd.IntN(20)) }
	one := func() string {
		k, v := key(), value()
		switch rnd.IntN(34) {
		case 0, 1:
			return "set " + k + " " + v
		case 2:
			return "set " + k + " " + v + " ex 1000"
		case 3:
			return "del " + k
		case 4:
			return "unlink " + k + " " + key()
		case 5:
			return "mset " + k + " " + v + " " + key() + " " + v
		case 6:
			return "setnx " + k + " " + v
		case 7:
			return "getdel " + k
		case 8, 9:
			return "incrby " + k + " " + v
		case 10:
			return "append " + k + " " + v
		case 11, 12:
			return "rpush " + k + " " + v + " " + value()
		case 13:
			return "lpush " + k + " " + v
		case 14:
			return "lpop " + k
		case 15, 16:
			return "sadd " + k + " " + v + " " + value()
		case 17:
			return "srem " + k + " " + v
		case 18, 19:
			return "hset " + k + " f" + value() + " " + v
		case 20:
			return "hincrby " + k + " f" + value() + " 1"
		case 21, 22:
			return "zadd " + k + " " + v + " m" + value()
		case 23:
			return "zpopmin " + k
		case 24:
			return "rename " + k + " " + key()
		case 25:
			return "copy " + k + " " + key() + " replace"
		case 26:
			return "sunionstore " + k + " " + key() + " " + key()
		case 27:
			return "zunionstore " + k + " 2 " + key() + " " + key()
		case 28:
			return "smove " + k + " " + key() + " " + v
		case 29:
			return "lmove " + k + " " + key() + " left right"
		case 30:
			return "expire " + k + " 1000"
		case 31:
			return "persist " + k
		case 32:
			if rnd.IntN(10) == 0 {
				return "flushdb"
			}
			return "set " + k + " " + v + " keepttl"
		default:
			return "msetnx " + k + " " + v + " " + key() + " " + v
		}
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
						_, _ = d.Deliver(ctx, journal.Options{})
						cancel()
					}
				})
			}
			refused := 0
			for n := range 1500 {
				switch n {
				case 40:
					a.past(1)
				case 1400:
					a.past(2)
				}
				lines := some(rnd)
				err := a.run(lines...)
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
			t.Logf("%d calls refused; %d and %d dead letters", refused, len(x), len(y))
		})
	}
}

func words(line string) (args []any) {
	for word := range strings.FieldsSeq(line) {
		args = append(args, word)
	}
	return args
}
