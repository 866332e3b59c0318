package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis/go-redis/v9"
)

// What the application of warm does before the quota ends: all of its keys are there when the mirror
// begins, and it knows nothing of them.
const (
	warmKeys    = 100_000
	warmCalls   = 400_000
	warmSample  = 8 // one of so many reads is told to the hydration
	warmWorkers = 16
)

// warm measures how much of what the application uses local has when the quota ends.
func warm(*bench) error {
	fmt.Printf("%d keys: 50 %% sessions, 25 %% counters, 24 %% pages, 1 %% queues, and a leaderboard; %d calls, 90 %% of them reads, by Zipf's law\n\n", warmKeys, warmCalls)
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

// warmApp is the application, with the mirror beside its client.
type warmApp struct {
	g       *ground
	m       *mirror.Mirror
	touch   func(db, key string)
	sent    atomic.Int64
	mu      sync.Mutex // protects touched
	touched map[string]bool
}

func warmed(fraction float64, synced bool) error {
	g, err := newGround()
	if err != nil {
		return err
	}
	defer g.stop()
	a := &warmApp{g: g, touched: map[string]bool{}}
	if err := pipelines(g.primary, warmKeys, func(pipe redis.Pipeliner, i int) { write(pipe, i, i) }); err != nil {
		return err
	}
	var h *mirror.Hydrator
	m, c, err := g.mirrorOf(func(db, key string) {
		if h != nil {
			h.Touch(db, key)
		}
	})
	if err != nil {
		return err
	}
	defer func() { _ = m.Close(noCtx) }()
	a.m = m
	if fraction > 0 {
		h = mirror.NewHydrator(mirror.HydrateConfig{
			Primary: func(context.Context) (*redis.Client, error) { return redis.NewClient(g.servers[1].Options()), nil },
			Copier:  c, Serves: func() bool { return !m.Stats().Stopped }, Sent: a.sent.Load, Fraction: fraction,
		})
		a.touch = h.Touch
		h.Start()
		defer h.Close()
	}
	var spent int64
	if synced {
		r, err := c.Sync(noCtx, mirror.SyncOptions{})
		if err != nil {
			return err
		}
		spent = r.Commands
	}
	if err := a.run(); err != nil {
		return err
	}
	if h != nil {
		h.Close()
		spent += h.Stats().Spent
	}
	if err := m.Flush(noCtx); err != nil {
		return err
	}
	return a.judge(c, fraction, synced, spent)
}

// judge says what local has.
func (a *warmApp) judge(c *mirror.Copier, fraction float64, synced bool, spent int64) error {
	v, err := c.Verify(noCtx, mirror.VerifyOptions{})
	if err != nil {
		return err
	}
	user := a.g.user()
	defer user.Close()
	var used, asked []string
	for k := range a.touched {
		used = append(used, k)
	}
	z := newZipf(99)
	for range 50_000 {
		k, _ := keyOf(int(z.Uint64())) //nolint:gosec // below warmKeys
		asked = append(asked, k)
	}
	whole, err := there(user, used)
	if err != nil {
		return err
	}
	hits, err := there(user, asked)
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
					if a.touch != nil && n%warmSample == 0 {
						a.touch("", k)
					}
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
	tx := a.g.primary.Pipeline()
	write(tx, i, n)
	if sort == "queue" && n%2 == 0 {
		tx.LPop(noCtx, k)
	}
	cmds := tx.(*redis.Pipeline).Cmds()
	call := a.m.BeginAll(cmds, "")
	_, err := tx.Exec(noCtx)
	a.m.DoneAll(call, "", cmds)
	a.sent.Add(int64(len(cmds)))
	return err
}

func (a *warmApp) read(i int) error {
	k, sort := keyOf(i)
	a.sent.Add(1)
	switch sort {
	case "session":
		return a.g.primary.HGetAll(noCtx, k).Err()
	case "queue":
		return a.g.primary.LLen(noCtx, k).Err()
	case "leaderboard":
		return a.g.primary.ZRevRangeWithScores(noCtx, k, 0, 9).Err()
	}
	return a.g.primary.Get(noCtx, k).Err()
}
