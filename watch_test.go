package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// casRounds is how many times the switch comes between sixteen workers that count by compare-and-set.
const casRounds = 1000

// Law 4: what was reported as a success is found, once: on the server of its time, and after a return all
// of it on the primary. In each round 16 workers increment one counter while the service switches; even
// rounds go to local, odd ones return.
func TestCompareAndSetAcrossSwitches(t *testing.T) {
	const workers = 16
	rounds := casRounds
	if testing.Short() {
		rounds = 50
	}
	p := newPair(t, fallback.WithLocalCheck(-1))
	p.rdb.Ping(ctx)
	var done, failed, other atomic.Int64
	for round := range rounds {
		key := "n" + strconv.Itoa(round)
		var wg sync.WaitGroup
		var flipped bool
		start := make(chan struct{})
		for w := range workers {
			wg.Go(func() {
				<-start
				for range 1000 {
					between := func(*redis.Tx) error { return nil }
					if w == 0 && !flipped {
						between = func(*redis.Tx) error { flipped = true; return p.flip(round) }
					}
					err := add(p.rdb, key, between)
					switch {
					case err == nil:
						done.Add(1)
						return
					case errors.Is(err, redis.TxFailedErr):
						failed.Add(1)
					default:
						other.Add(1)
						t.Errorf("round %d: %v", round, err)
						return
					}
				}
			})
		}
		before := done.Load()
		close(start)
		wg.Wait()
		onPrimary, _ := strconv.Atoi(get(t, p.primary, key))
		onLocal, _ := strconv.Atoi(get(t, p.local, key))
		sum := onPrimary
		if p.h.Serving() == fallback.Local {
			sum += onLocal // which the primary does not have yet
		}
		if n := int(done.Load() - before); sum != n || n != workers || (round%2 == 0) != (sum > onPrimary) {
			t.Fatalf("round %d: %d successes reported, %d found on the primary and %d on local", round, n, onPrimary, onLocal)
		}
	}
	t.Logf("%d rounds, %d successes, all found; %d transactions failed and began again; other errors %d",
		rounds, done.Load(), failed.Load(), other.Load())
	p.noSessions(t)
	for b, s := range map[fallback.Backend]*fallbacktest.Server{fallback.Local: p.local, fallback.Primary: p.primary} {
		if err := p.h.Pin(b); err != nil {
			t.Fatal(err)
		}
		noWatchLeft(t, p.rdb, s, "n0")
	}
}

// flip switches the service: to local by a refusal or by hand, and back.
func (p *pair) flip(round int) error {
	switch round % 4 {
	case 1, 3:
		p.primary.Renew()
		return errors.Join(p.h.Pin(fallback.Primary), p.h.Unpin())
	case 2:
		return p.h.Pin(fallback.Local)
	}
	p.primary.Exhaust()
	return nil
}

// The same against real servers that die. What was reported as done is on the primary after the return,
// once; what was lost is there once at most; and local has counted without a gap.
func TestCompareAndSetThroughAnOutage(t *testing.T) {
	t.Parallel()
	primary, local, rdb, h := realPair(t, quick(), fallback.WithMirror(fallback.MirrorConfig{Bytes: -1}),
		fallback.WithHang(300*time.Millisecond, 150*time.Millisecond))
	stop, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var failed, lost atomic.Int64
	var wg sync.WaitGroup
	var done [16][]string
	for w := range done {
		wg.Go(func() {
			for i := 0; stop.Err() == nil; i++ {
				id := fmt.Sprint(w, "-", i)
				err := listed(rdb, id)
				switch {
				case err == nil:
					done[w] = append(done[w], id)
				case errors.Is(err, redis.TxFailedErr):
					failed.Add(1)
				default:
					lost.Add(1) // it may have run
				}
			}
		})
	}
	time.Sleep(700 * time.Millisecond)
	primary.Hang()
	time.Sleep(time.Second)
	primary.Resume()
	wg.Wait()
	eventually(t, "the return", func() bool { return h.Serving() == fallback.Primary })
	found := map[string]int{}
	for _, id := range primary.Client(t).LRange(ctx, "ids", 0, -1).Val() {
		if found[id]++; found[id] > 1 {
			t.Errorf("%s is on the primary %d times", id, found[id])
		}
	}
	all := 0
	for _, ids := range done {
		all += len(ids)
		for _, id := range ids {
			if found[id] == 0 {
				t.Errorf("%s was reported as done and is not on the primary", id)
			}
		}
	}
	if int64(len(found)) > int64(all)+lost.Load() {
		t.Errorf("%d successes reported and %d lost; %d found", all, lost.Load(), len(found))
	}
	n, m := local.Get(t, "n"), local.Client(t).LLen(ctx, "ids").Val()
	if n != fmt.Sprint(m) || m == 0 {
		t.Errorf("local counted to %s in %d transactions", n, m)
	}
	if st := h.Status(); st.Trips == 0 || st.LocalSessions != 0 {
		t.Errorf("status %+v", st)
	}
	t.Logf("%d done, %d failed, %d lost; %d on the primary, %d of them by local", all, failed.Load(), lost.Load(), len(found), m)
}

// listed counts n up by compare-and-set, and puts id on a list in the same transaction.
func listed(rdb *redis.Client, id string) error {
	return rdb.Watch(ctx, func(tx *redis.Tx) error {
		n, err := tx.Get(ctx, "n").Int()
		if err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
			return err
		}
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, "n", n+1, 0)
			pipe.RPush(ctx, "ids", id)
			return nil
		})
		return err
	}, "n")
}

// A Watch is served while local is a server with a password of its own.
func TestWatchOnLocalWithAPassword(t *testing.T) {
	t.Parallel()
	p := pairOf(t, fallbacktest.Run(t, fallbacktest.WithPassword("one")), fallbacktest.Run(t, fallbacktest.WithPassword("two")), nil)
	p.primary.Exhaust()
	for i := range 3 {
		if err := add(p.rdb, fmt.Sprint("n", i), nil); err != nil {
			t.Error(err)
		}
	}
}
