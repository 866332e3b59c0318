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

// Law 4: what was reported as a success is found, once, on the server of its time. In each round 16
// workers increment one counter while the service switches; odd rounds go to local, even ones return.
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
		start := make(chan struct{})
		for w := range workers {
			wg.Go(func() {
				<-start
				for try := range 1000 {
					between := func(*redis.Tx) error { return nil }
					if w == 0 && try == 0 {
						between = func(*redis.Tx) error { p.flip(round); return nil }
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
		if n := int(done.Load() - before); onPrimary+onLocal != n || n != workers {
			t.Fatalf("round %d: %d successes reported, %d found on the primary and %d on local", round, n, onPrimary, onLocal)
		}
	}
	t.Logf("%d rounds, %d successes, all found; %d transactions failed and began again; other errors %d",
		rounds, done.Load(), failed.Load(), other.Load())
	p.noSessions(t)
	p.h.Pin(fallback.Local)
	noWatchLeft(t, p.rdb, p.local, "n0")
	p.h.Pin(fallback.Primary)
	noWatchLeft(t, p.rdb, p.primary, "n0")
}

// flip switches the service: to local by a refusal or by hand, and back.
func (p *pair) flip(round int) {
	switch round % 4 {
	case 0:
		p.primary.Exhaust()
	case 1, 3:
		p.primary.Renew()
		p.h.Pin(fallback.Primary)
		p.h.Unpin()
	case 2:
		p.h.Pin(fallback.Local)
	}
}

// The same against real servers that die: nothing that was reported as done is missing, as far as its
// server kept it.
func TestCompareAndSetThroughAnOutage(t *testing.T) {
	t.Parallel()
	primary, local, rdb, h := realPair(t, quick(), fallback.WithHang(300*time.Millisecond, 150*time.Millisecond))
	if err := rdb.Set(ctx, "n", 0, 0).Err(); err != nil {
		t.Fatal(err)
	}
	stop, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var done, failed, lost atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for stop.Err() == nil {
				err := add(rdb, "n", nil)
				switch {
				case err == nil:
					done.Add(1)
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
	n, _ := strconv.Atoi(primary.Get(t, "n"))
	m, _ := strconv.Atoi(local.Get(t, "n"))
	if sum := int64(n + m); sum < done.Load() || sum > done.Load()+lost.Load() {
		t.Errorf("%d successes reported and %d lost; %d found", done.Load(), lost.Load(), sum)
	}
	if st := h.Status(); st.Trips == 0 || st.LocalSessions != 0 {
		t.Errorf("status %+v", st)
	}
	t.Logf("%d done, %d failed, %d lost; %d on the primary, %d on local", done.Load(), failed.Load(), lost.Load(), n, m)
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
