package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// What the application of warm does before the quota ends: all of its keys are there when the mirror
// begins, and it knows nothing of them.
const (
	warmKeys    = 100_000
	warmCalls   = 400_000
	warmWorkers = 16
)

// warm measures how much of what the application uses local has when the quota ends.
func warm(*bench) error {
	fmt.Printf("%d keys: 50 %% sessions, 25 %% counters, 24 %% pages, 1 %% queues, and a leaderboard; %d calls through the hook, 90 %% of them reads, by Zipf's law\n\n", warmKeys, warmCalls)
	head("hydration", "synced before", "calls that find their key whole", "keys that are in use", "of them whole on local", "commands for it", "of the application's", "different")
	for _, c := range []struct {
		fraction float64
		sync     bool
	}{{0, false}, {0.05, false}, {0.20, false}, {0, true}, {0.05, true}} {
		if err := warmed(c.fraction, c.sync); err != nil {
			return err
		}
	}
	return nil
}

// warmApp is the application.
type warmApp struct {
	*program
	sent    atomic.Int64
	mu      sync.Mutex // protects touched
	touched map[string]bool
}

func warmed(fraction float64, synced bool) error {
	m := fallback.MirrorConfig{Hydration: fraction}
	if fraction == 0 {
		m.Hydration = -1
	}
	p, err := start(fallback.WithMirror(m))
	if err != nil {
		return err
	}
	defer p.stop()
	a := &warmApp{program: p, touched: map[string]bool{}}
	if err := pipelines(p.bare, warmKeys, func(pipe redis.Pipeliner, i int) { write(pipe, i, i) }); err != nil {
		return err
	}
	var spent int64
	if synced {
		// The first call has the hook know its primary.
		if err := p.hooked.Ping(noCtx).Err(); err != nil {
			return err
		}
		r, err := p.h.Sync(noCtx, fallback.SyncOptions{})
		if err != nil {
			return err
		}
		spent = r.Commands
	}
	if err := a.run(); err != nil {
		return err
	}
	// What local does not have by now it will not get: from here on it serves.
	if err := p.h.Pin(fallback.Local); err != nil {
		return err
	}
	spent += p.h.Status().Mirror.HydrationCost
	return a.judge(fraction, synced, spent)
}

// judge says what local has.
func (a *warmApp) judge(fraction float64, synced bool, spent int64) error {
	var used, asked []string
	for k := range a.touched {
		used = append(used, k)
	}
	z := newZipf(99)
	for range 50_000 {
		k, _ := keyOf(int(z.Uint64())) //nolint:gosec // below warmKeys
		asked = append(asked, k)
	}
	whole, err := there(a.onLocal, used)
	if err != nil {
		return err
	}
	hits, err := there(a.onLocal, asked)
	if err != nil {
		return err
	}
	// There is not yet whole: each key is compared.
	if err := a.h.Pin(fallback.Primary); err != nil {
		return err
	}
	v, err := a.h.Verify(noCtx, fallback.VerifyOptions{})
	if err != nil {
		return err
	}
	sent := a.sent.Load()
	row(fmt.Sprintf("%.0f %%", fraction*100), synced, fmt.Sprintf("%.1f %%", 100*float64(hits)/float64(len(asked))), len(used),
		fmt.Sprintf("%.1f %%", 100*float64(whole)/float64(len(used))), spent, fmt.Sprintf("%.1f %%", 100*float64(spent)/float64(sent)), v.Different+v.Extra)
	return nil
}

// there counts which of some keys are there.
func there(rdb *redis.Client, keys []string) (n int, err error) {
	err = pipelines(rdb, (len(keys)+999)/1000, func(pipe redis.Pipeliner, i int) {
		pipe.Exists(noCtx, keys[i*1000:min(i*1000+1000, len(keys))]...)
	}, func(cmds []redis.Cmder) {
		for _, cmd := range cmds {
			n += int(cmd.(*redis.IntCmd).Val())
		}
	})
	return n, err
}

// newZipf chooses keys: the seldom ones are so seldom that most are never used.
func newZipf(seed uint64) *rand.Zipf {
	return rand.NewZipf(rand.New(rand.NewPCG(seed, 1)), 1.1, 10, warmKeys-1) //nolint:gosec // a workload
}

func (a *warmApp) run() error {
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for w := range warmWorkers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 2)) //nolint:gosec // a workload
			z := newZipf(uint64(w))                  //nolint:gosec // as above
			mine := map[string]bool{}
			for n := range warmCalls / warmWorkers {
				i := int(z.Uint64()) //nolint:gosec // below warmKeys
				k, _ := keyOf(i)
				mine[k] = true
				var err error
				if r.IntN(10) > 0 {
					err = a.read(i)
				} else {
					err = a.change(i, n)
				}
				if err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
					failed.CompareAndSwap(nil, &err)
					return
				}
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			for k := range mine {
				a.touched[k] = true
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// keyOf returns the i-th key, and of which sort it is. The sorts are spread over all ranks.
func keyOf(i int) (key, sort string) {
	switch n := i * 7919 % 100; {
	case i == 17:
		return "leaderboard", "leaderboard"
	case n < 50:
		return fmt.Sprint("session:", i), "session"
	case n < 75:
		return fmt.Sprint("count:", i), "count"
	case n < 99:
		return fmt.Sprint("page:", i), "page"
	}
	return fmt.Sprint("queue:", i), "queue"
}

var page = strings.Repeat("<p>hello</p>", 50)

// write is one write of the application to the i-th key.
func write(c redis.Cmdable, i, n int) {
	k, sort := keyOf(i)
	switch sort {
	case "session":
		c.HSet(noCtx, k, "page", n, "user", i, "seen", n)
		c.Expire(noCtx, k, time.Hour)
	case "count":
		c.Incr(noCtx, k)
	case "page":
		c.Set(noCtx, k, page, time.Hour)
	case "queue":
		c.RPush(noCtx, k, n)
	default:
		c.ZIncrBy(noCtx, k, 1, fmt.Sprint("player:", n%10_000))
	}
}

func (a *warmApp) change(i, n int) error {
	k, sort := keyOf(i)
	cmds, err := a.hooked.Pipelined(noCtx, func(pipe redis.Pipeliner) error {
		write(pipe, i, n)
		if sort == "queue" && n%2 == 0 {
			pipe.LPop(noCtx, k)
		}
		return nil
	})
	a.sent.Add(int64(len(cmds)))
	return err
}

func (a *warmApp) read(i int) error {
	k, sort := keyOf(i)
	a.sent.Add(1)
	switch sort {
	case "session":
		return a.hooked.HGetAll(noCtx, k).Err()
	case "queue":
		return a.hooked.LLen(noCtx, k).Err()
	case "leaderboard":
		return a.hooked.ZRevRangeWithScores(noCtx, k, 0, 9).Err()
	}
	return a.hooked.Get(noCtx, k).Err()
}
