package mirror_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis/go-redis/v9"
)

// mirrored gives the rig mirrors, as so many processes have them, in place of its target.
func (r *copyRig) mirrored(n int, cold func(db, key string)) []*mirror.Mirror {
	r.t.Helper()
	r.check(r.copier.Local.Set(r.ctx, fenceKey, "id 1 primary", 0).Err())
	all := make([]*mirror.Mirror, n)
	for i := range all {
		opts := *r.copier.Local.Options()
		rdb := redis.NewClient(&opts)
		all[i] = mirror.New(mirror.Config{
			RDB: rdb, Name: "test", Database: 15, Process: fmt.Sprint(i), Cold: cold,
			Fence:  func() string { return "id 1 primary" },
			Timing: mirror.Timing{Beat: 50 * time.Millisecond},
		})
		all[i].Start()
		r.t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = all[i].Close(ctx)
			_ = rdb.Close()
		})
	}
	r.copier.Mirror = all[0]
	r.flush(all)
	return all
}

func (r *copyRig) flush(all []*mirror.Mirror) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, 20*time.Second)
	defer cancel()
	for _, m := range all {
		r.check(m.Flush(ctx))
	}
}

const anyKeys = 700

// anyWrite is a write of some type to some key, at random.
func anyWrite(ctx context.Context, r *rand.Rand) redis.Cmder {
	n := r.IntN(anyKeys)
	k := fmt.Sprint("k", n)
	if r.IntN(20) == 0 {
		return redis.NewIntCmd(ctx, "del", k)
	}
	if r.IntN(20) == 0 {
		return redis.NewBoolCmd(ctx, "expire", k, 3600)
	}
	v := r.IntN(1000)
	some := func(cmds ...redis.Cmder) redis.Cmder { return cmds[r.IntN(len(cmds))] }
	switch n % 7 {
	case 0:
		return some(redis.NewStatusCmd(ctx, "set", k, v), redis.NewIntCmd(ctx, "append", k, "x"), redis.NewIntCmd(ctx, "setrange", k, 3, "y"))
	case 1:
		return redis.NewIntCmd(ctx, "incr", k)
	case 2:
		return some(redis.NewIntCmd(ctx, "hset", k, v%20, v), redis.NewIntCmd(ctx, "hincrby", k, "n", 1), redis.NewIntCmd(ctx, "hdel", k, v%20))
	case 3:
		return some(redis.NewIntCmd(ctx, "rpush", k, v), redis.NewStringCmd(ctx, "lpop", k))
	case 4:
		return some(redis.NewIntCmd(ctx, "sadd", k, v), redis.NewStringCmd(ctx, "spop", k))
	case 5:
		return some(redis.NewIntCmd(ctx, "zadd", k, v, v%20), redis.NewFloatCmd(ctx, "zincrby", k, 1, v%20))
	}
	return some(redis.NewStringCmd(ctx, "xadd", k, "*", "f", v), redis.NewIntCmd(ctx, "xtrim", k, "maxlen", 10))
}

// While processes write through their mirrors, what a sync brings to local is never old, and what it could
// not bring is known not to be there.
func TestSyncBesideWriters(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	all := r.mirrored(2, nil)
	ctx := r.ctx
	r.many(20_000)
	for n := range anyKeys {
		r.check(r.primary.Del(ctx, fmt.Sprint("k", n)).Err())
	}
	r.fill(r.primary)
	for seed := range 3000 { // the keys that are there before
		if err := r.primary.Process(ctx, anyWrite(ctx, rand.New(rand.NewPCG(uint64(seed), 7)))); err != nil && err != redis.Nil { //nolint:errorlint,gosec // as go-redis returns it
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 3)) //nolint:gosec // a workload
			m := all[w%2]
			for !stop.Load() {
				cmd := anyWrite(ctx, rnd)
				c := m.Begin(cmd.Args(), "")
				_ = r.primary.Process(ctx, cmd)
				m.Done(c, "", cmd)
			}
		})
	}
	report, err := r.copier.Sync(ctx, mirror.SyncOptions{})
	stop.Store(true)
	wg.Wait()
	r.check(err)
	if !report.Complete || report.Copied < 19_000 {
		t.Errorf("%+v", report)
	}
	check := func(when string) mirror.VerifyReport {
		t.Helper()
		r.flush(all)
		v, diffs := r.verify(mirror.VerifyOptions{})
		for name, d := range diffs {
			if d.Kind != mirror.Missing {
				t.Errorf("%s: %+v", when, d)
			} else if !r.copier.Local.SIsMember(ctx, r.copier.Mirror.UnsureKey(), name).Val() {
				t.Errorf("%s: %s is missing, and nobody knows", when, name)
			}
		}
		return v
	}
	v := check("after the sync")
	t.Logf("%d keys written while they were read, %d missing of %d", report.Newer, v.Missing, v.Keys)

	// In peace the rest comes too.
	for range 20 {
		report = r.sync(mirror.SyncOptions{Restart: true})
		if report.Unsure == 0 {
			break
		}
	}
	if v := check("in peace"); v.Left() != 0 || !report.Complete || report.Unsure != 0 {
		t.Errorf("%+v, %+v", v, report)
	}
}

// What the mirror could not keep is hydrated, and never with something old.
func TestHydrateBesideWriters(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	ctx := r.ctx
	for seed := range 3000 {
		if err := r.primary.Process(ctx, anyWrite(ctx, rand.New(rand.NewPCG(uint64(seed), 7)))); err != nil && err != redis.Nil { //nolint:errorlint,gosec // as go-redis returns it
			t.Fatal(err)
		}
	}
	var h atomic.Pointer[mirror.Hydrator]
	all := r.mirrored(2, func(db, key string) {
		if h := h.Load(); h != nil {
			h.Touch(db, key)
		}
	})
	var sent atomic.Int64
	hydrator := mirror.NewHydrator(mirror.HydrateConfig{
		Primary: func(context.Context) (*redis.Client, error) { return redis.NewClient(r.primary.Options()), nil },
		Copier:  r.copier, Serves: func() bool { return true }, Sent: sent.Load, Fraction: 1,
	})
	hydrator.Start()
	t.Cleanup(hydrator.Close)
	h.Store(hydrator)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 3)) //nolint:gosec // a workload
			m := all[w%2]
			for range 3000 {
				cmd := anyWrite(ctx, rnd)
				c := m.Begin(cmd.Args(), "")
				_ = r.primary.Process(ctx, cmd)
				m.Done(c, "", cmd)
				sent.Add(1)
			}
		})
	}
	wg.Wait()
	r.flush(all)
	until(t, "nothing waits", func() bool { return hydrator.Stats().Waiting == 0 })
	v, diffs := r.verify(mirror.VerifyOptions{})
	for _, d := range diffs {
		if d.Kind != mirror.Missing {
			t.Errorf("%+v", d)
		}
	}
	s := hydrator.Stats()
	t.Logf("%d keys, %d missing; %+v", v.Keys, v.Missing, s)
	if s.Hydrated == 0 || v.Missing > v.Keys/2 {
		t.Errorf("%+v, %+v", v, s)
	}
}
