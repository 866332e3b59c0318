package journal_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// trouble fails one of so many steps: before it is sent, after it ran, or as a refusal.
func trouble(seed uint64, oneOf int) *spy {
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(seed, 3))
	roll := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return rnd.IntN(oneOf), rnd.IntN(3)
	}
	return &spy{
		before: func(string, []redis.Cmder) error {
			switch hit, what := roll(); {
			case hit > 0:
			case what == 0:
				return io.EOF
			case what == 1:
				return limit("ERR max requests limit exceeded")
			}
			return nil
		},
		after: func(string, []redis.Cmder, error) error {
			if hit, _ := roll(); hit == 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		},
	}
}

func TestManyDrainsInTroubleDeliverOnceAndInOrder(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := newRig(t)
	const lists, drains, wrong = 4, 3, 3
	// All that is written to one of them is for the dead letters.
	r.check(r.rdb.Set(r.ctx, fmt.Sprint("l", wrong), "text", 0).Err())
	stop := make(chan struct{})
	var written [lists]int
	var acked atomic.Int64
	var writers, others sync.WaitGroup
	for i := range lists {
		rdb := r.client(r.local, journal.DefaultDatabase)
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := written[i] + 1
				e := journal.Entry{Kind: journal.KindWrite, Commands: [][]string{{"rpush", fmt.Sprint("l", i), strconv.Itoa(n)}}}
				var args []any
				for _, f := range e.Fields() {
					args = append(args, f)
				}
				ok, err := rdb.Eval(context.Background(), writerLua, []string{"fallback:test:state", "fallback:test:journal"}, args...).Int64()
				if err == nil && ok > 0 {
					written[i] = n
					acked.Add(1)
				}
				time.Sleep(200 * time.Microsecond)
			}
		})
	}
	for i := range drains {
		d := r.drain()
		d.ID = fmt.Sprint("d", i)
		d.Batch.Commands = 20
		d.Primary.AddHook(trouble(seed+uint64(i), 12))
		others.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			for {
				select {
				case <-stop:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rnd.IntN(20))*time.Millisecond)
				switch rnd.IntN(8) {
				case 0:
					v, err := d.Return(ctx, journal.Options{})
					if err == nil && v.Record.Serving == journal.Primary {
						_, _, _ = d.Store.Change(context.Background(), v.Record, journal.Change{What: journal.Trip})
					}
				case 1:
					if rnd.IntN(4) == 0 {
						r.rdb.Del(ctx, d.Store.PositionKey(r.record().ID))
					}
				default:
					_, _ = d.Deliver(ctx, journal.Options{})
				}
				cancel()
				// As every process does: a journal that somebody shut and left is opened again.
				_, _ = d.Store.Tick(context.Background(), nil, journal.Limits{})
			}
		})
	}
	for acked.Load() < 4000 {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	writers.Wait()
	others.Wait()
	var err error
	for range 50 {
		if _, err = r.drain().Return(r.ctx, journal.Options{}); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	letters, err := r.store.Letters(r.ctx, 0)
	r.check(err)
	doubt := map[string]bool{}
	for _, l := range letters {
		if l.Kind != journal.LetterDoubt && l.Args[1] != fmt.Sprint("l", wrong) {
			t.Errorf("seed %d: %+v", seed, l)
		}
		for _, v := range l.Args[2:] {
			doubt[l.Args[1]+" "+v] = true
		}
	}
	for i := range lists {
		key := fmt.Sprint("l", i)
		next := 1
		for _, text := range r.rdb.LRange(r.ctx, key, 0, -1).Val() {
			n, _ := strconv.Atoi(text)
			for ; next < n; next++ {
				if !doubt[fmt.Sprint(key, " ", next)] {
					t.Fatalf("seed %d: %s lacks %d, which is no dead letter", seed, key, next)
				}
			}
			if n != next {
				t.Fatalf("seed %d: %s has %d where %d is next", seed, key, n, next)
			}
			next++
		}
		for ; next <= written[i]; next++ {
			if !doubt[fmt.Sprint(key, " ", next)] {
				t.Fatalf("seed %d: %s lacks %d at its end", seed, key, next)
			}
		}
	}
	t.Logf("%d writes, %d in doubt", acked.Load(), len(letters))
}
