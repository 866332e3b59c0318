package mirror_test

import (
	"context"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const fenceKey = "fallback:test:fence"

// rig is a local with mirrors to it, and the clients to look at it.
type rig struct {
	tb    testing.TB
	ctx   context.Context
	local *redistest.Server
	home  *redis.Client // local's database of the user's keys
	ours  *redis.Client // the journal's
	fence atomic.Pointer[string]

	mu   sync.Mutex
	cold map[string]int
	logs []string
}

func newRig(tb testing.TB, args ...string) *rig {
	tb.Helper()
	r := &rig{tb: tb, ctx: context.Background(), local: redistest.Start(tb, args...), cold: map[string]int{}}
	r.home, r.ours = client(tb, r.local, 0), client(tb, r.local, 15)
	r.serve("id 1 primary")
	return r
}

func client(tb testing.TB, s *redistest.Server, db int) *redis.Client {
	tb.Helper()
	rdb := redis.NewClient(options(s.Addr(), db))
	tb.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func options(addr string, db int) *redis.Options {
	return &redis.Options{
		Addr: addr, DB: db, MaxRetries: -1, DisableIdentity: true, DialTimeout: 2 * time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// serve has the primary serve under a fence that local knows, or "" another server.
func (r *rig) serve(fence string) {
	r.tb.Helper()
	r.fence.Store(&fence)
	text := fence
	if text == "" {
		text = "id 9 local"
	}
	r.check(r.ours.Set(r.ctx, fenceKey, text, 0).Err())
}

func (r *rig) check(err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatal(err)
	}
}

func (r *rig) config() mirror.Config {
	return mirror.Config{
		RDB: client(r.tb, r.local, 15), Name: "test", Database: 15, Process: "p",
		Fence: func() string { return *r.fence.Load() },
		Cold: func(db, key string) {
			r.mu.Lock()
			r.cold[db+"|"+key]++
			r.mu.Unlock()
		},
		Log: func(_ slog.Level, msg string, _ ...slog.Attr) {
			r.mu.Lock()
			r.logs = append(r.logs, msg)
			r.mu.Unlock()
		},
		Timing: mirror.Timing{Beat: 50 * time.Millisecond, Dead: 300 * time.Millisecond, Rotate: 100 * time.Millisecond},
	}
}

// mirror starts one, on a local that it finds empty.
func (r *rig) mirror(change ...func(*mirror.Config)) *mirror.Mirror {
	r.tb.Helper()
	m := r.mirror0(change...)
	r.settle(m)
	return m
}

func (r *rig) mirror0(change ...func(*mirror.Config)) *mirror.Mirror {
	r.tb.Helper()
	c := r.config()
	for _, f := range change {
		f(&c)
	}
	m := mirror.New(c)
	m.Start()
	r.tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = m.Close(ctx)
	})
	return m
}

// settle waits until what is written is later than all that local knows, by clocks that agree to within
// a round trip.
func (r *rig) settle(m *mirror.Mirror) {
	r.tb.Helper()
	r.until("a write is in order", func() bool {
		write(m, set("settled", "1"))
		r.flush(m)
		return r.home.Exists(r.ctx, "settled").Val() == 1
	})
	write(m, del("settled"))
	r.flush(m)
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.cold)
}

func (r *rig) flush(m *mirror.Mirror) {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
	defer cancel()
	r.check(m.Flush(ctx))
}

// until waits for a condition.
func (r *rig) until(what string, ok func() bool) {
	r.tb.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			r.mu.Lock()
			r.tb.Fatal("it never came about that "+what, r.logs)
		}
	}
}

// acked is a command that the primary has answered with this.
func acked[T any](cmd interface {
	redis.Cmder
	SetVal(T)
}, v T,
) redis.Cmder {
	cmd.SetVal(v)
	return cmd
}

func set(key, value string) redis.Cmder {
	return acked(redis.NewStatusCmd(context.Background(), "set", key, value), "OK")
}

func incr(key string, to int64) redis.Cmder {
	return acked(redis.NewIntCmd(context.Background(), "incr", key), to)
}

func hset(key, field, value string) redis.Cmder {
	return acked(redis.NewIntCmd(context.Background(), "hset", key, field, value), int64(1))
}

func del(key string) redis.Cmder {
	return acked(redis.NewIntCmd(context.Background(), "del", key), int64(1))
}

// write is a call that has run on the primary, which takes some microseconds.
func write(m *mirror.Mirror, cmd redis.Cmder) {
	c := m.Begin(cmd.Args(), "")
	for began := time.Now(); time.Since(began) < 3*time.Microsecond; {
		continue
	}
	m.Done(c, "", cmd)
	for ended := time.Now(); time.Since(ended) < 3*time.Microsecond; {
		continue
	}
}

// everything is all of a database, as text.
func everything(ctx context.Context, rdb *redis.Client) (map[string]string, error) {
	all := map[string]string{}
	iter := rdb.Scan(ctx, 0, "*", 1000).Iterator()
	for iter.Next(ctx) {
		v, err := content(ctx, rdb, iter.Val())
		if err != nil {
			return nil, err
		}
		all[iter.Val()] = v
	}
	return all, iter.Err()
}

func content(ctx context.Context, rdb *redis.Client, key string) (string, error) {
	kind, err := rdb.Type(ctx, key).Result()
	if err != nil {
		return "", err
	}
	var v any
	switch kind {
	case "string":
		v, err = rdb.Get(ctx, key).Result()
	case "hash":
		v, err = rdb.HGetAll(ctx, key).Result()
	case "list":
		v, err = rdb.LRange(ctx, key, 0, -1).Result()
	case "set":
		var s []string
		s, err = rdb.SMembers(ctx, key).Result()
		sort.Strings(s)
		v = s
	case "zset":
		v, err = rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
	case "stream":
		v, err = rdb.XRange(ctx, key, "-", "+").Result()
	}
	if err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
		return "", err
	}
	return kind + " " + fmt.Sprint(v), nil
}

// wants checks string values on local, "" being none.
func (r *rig) wants(pairs ...string) {
	r.tb.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := r.local.Get(r.tb, pairs[i]); got != pairs[i+1] {
			r.tb.Errorf("%s on local is %q, want %q", pairs[i], got, pairs[i+1])
		}
	}
}
