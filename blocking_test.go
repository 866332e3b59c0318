package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// blocker is a command that waits on the server for what push adds.
type blocker struct {
	name string
	call func(rdb *redis.Client, key string, wait time.Duration) error
	push func(rdb *redis.Client, key string) error
	all  bool // all who wait get it
}

func blockers() []blocker {
	list := func(rdb *redis.Client, key string) error { return rdb.RPush(ctx, key, "v").Err() }
	zset := func(rdb *redis.Client, key string) error { return rdb.ZAdd(ctx, key, redis.Z{Member: "v"}).Err() }
	stream := func(rdb *redis.Client, key string) error {
		return rdb.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []any{"f", "v"}}).Err()
	}
	return []blocker{
		{"BLPOP", func(r *redis.Client, k string, d time.Duration) error { return r.BLPop(ctx, d, k).Err() }, list, false},
		{"BRPOP", func(r *redis.Client, k string, d time.Duration) error { return r.BRPop(ctx, d, k).Err() }, list, false},
		{"BLMOVE", func(r *redis.Client, k string, d time.Duration) error {
			return r.BLMove(ctx, k, k+":to", "left", "right", d).Err()
		}, list, false},
		{"BLMPOP", func(r *redis.Client, k string, d time.Duration) error { return r.BLMPop(ctx, d, "left", 1, k).Err() }, list, false},
		{"BZPOPMIN", func(r *redis.Client, k string, d time.Duration) error { return r.BZPopMin(ctx, d, k).Err() }, zset, false},
		{"BZMPOP", func(r *redis.Client, k string, d time.Duration) error { return r.BZMPop(ctx, d, "min", 1, k).Err() }, zset, false},
		{"XREAD", func(r *redis.Client, k string, d time.Duration) error {
			return r.XRead(ctx, &redis.XReadArgs{Streams: []string{k, "0"}, Block: d}).Err()
		}, stream, true},
		{"XREADGROUP", func(r *redis.Client, k string, d time.Duration) error {
			return r.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{k, ">"}, Block: d}).Err()
		}, stream, false},
	}
}

// gatedClient is a program with the hook, whose primary is metered and whose local has little patience.
func gatedClient(t *testing.T, primary, local *redistest.Server, patience time.Duration) (*redis.Client, *fallback.Hook, *gate) {
	t.Helper()
	g := &gate{}
	o, lo := primary.Options(), local.Options()
	g.guard(o)
	lo.ReadTimeout = patience
	rdb, back := redis.NewClient(o), redis.NewClient(lo)
	// A name of its own, or the trip of one would be that of all who have this local.
	h := fallback.New(back, cold(), fallback.WithLogger((&lines{}).logger()), fallback.WithName(t.Name()))
	rdb.AddHook(h)
	t.Cleanup(func() {
		_ = h.Shutdown(ctx)
		_, _ = rdb.Close(), back.Close()
	})
	return rdb, h, g
}

// A blocking call that the quota refuses waits on local as long as it was told, longer than local's
// time-out for others, and gets what is pushed there, once.
func TestBlockingCallsAreReplayed(t *testing.T) {
	t.Parallel()
	primary, local := redistest.Start(t), redistest.Start(t)
	at := local.Client(t)
	for _, b := range blockers() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			rdb, h, g := gatedClient(t, primary, local, 300*time.Millisecond)
			if b.name == "XREADGROUP" {
				for _, s := range []*redis.Client{rdb, at} {
					if err := s.XGroupCreateMkStream(ctx, b.name, "g", "0").Err(); err != nil {
						t.Fatal(err)
					}
				}
			}
			g.shut.Store(true)
			began := time.Now()
			err := b.call(rdb, b.name, time.Second)
			if took := time.Since(began); err != redis.Nil || took < 900*time.Millisecond { //nolint:errorlint // as go-redis returns it
				t.Errorf("ended with %v after %v, want redis.Nil after its second", err, took)
			}
			if h.Serving() != fallback.Local {
				t.Fatalf("status %+v", h.Status())
			}
			got := make(chan error, 2)
			for range 2 {
				go func() { got <- b.call(rdb, b.name, 2*time.Second) }()
			}
			time.Sleep(200 * time.Millisecond)
			if err := b.push(at, b.name); err != nil {
				t.Fatal(err)
			}
			n := 0
			for range 2 {
				if err := <-got; err == nil {
					n++
				} else if !errors.Is(err, redis.Nil) {
					t.Error(err)
				}
			}
			if want := map[bool]int{true: 2, false: 1}[b.all]; n != want {
				t.Errorf("%d of 2 got the value, want %d", n, want)
			}
		})
	}
	t.Run("WAIT", func(t *testing.T) {
		t.Parallel()
		rdb, _, g := gatedClient(t, primary, local, 300*time.Millisecond)
		g.shut.Store(true)
		began := time.Now()
		n, err := rdb.Wait(ctx, 1, time.Second).Result()
		if took := time.Since(began); n != 0 || err != nil || took < 900*time.Millisecond {
			t.Errorf("%d, %v after %v; want 0 replicas after its second", n, err, took)
		}
	})
	t.Run("Do", func(t *testing.T) { // whose time-out go-redis does not know
		t.Parallel()
		rdb, _, g := gatedClient(t, primary, local, 10*time.Second)
		g.shut.Store(true)
		began := time.Now()
		err := rdb.Do(ctx, "blpop", "do", 1).Err()
		if took := time.Since(began); err != redis.Nil || took < 900*time.Millisecond { //nolint:errorlint // as go-redis returns it
			t.Errorf("ended with %v after %v, want redis.Nil after its second", err, took)
		}
	})
}

// blocked waits until n clients wait on the server.
func blocked(t *testing.T, admin *redis.Client, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d clients wait", n), func() bool {
		return strings.Contains(admin.Info(ctx, "clients").Val(), fmt.Sprintf("blocked_clients:%d\r\n", n))
	})
}

// A call that waits on the primary while another one trips for a quota is left there: until its time-out,
// or until it gets what it waits for.
func TestBlockedCallOutlivesAQuotaTrip(t *testing.T) {
	t.Parallel()
	primary, local := redistest.Start(t), redistest.Start(t)
	rdb, h, g := gatedClient(t, primary, local, time.Second)
	admin := primary.Client(t)
	local.Client(t).RPush(ctx, "empty", "on local")
	began := time.Now()
	empty, served := make(chan error, 1), make(chan string, 1)
	go func() { empty <- rdb.BLPop(ctx, 2*time.Second, "empty").Err() }()
	go func() { served <- fmt.Sprint(rdb.BLPop(ctx, time.Minute, "served").Result()) }()
	blocked(t, admin, 2)
	g.shut.Store(true)
	if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil || h.Serving() != fallback.Local {
		t.Fatalf("%v; status %+v", err, h.Status())
	}
	err := <-empty
	if took := time.Since(began); err != redis.Nil || took < 1900*time.Millisecond { //nolint:errorlint // as go-redis returns it
		t.Errorf("ended with %v after %v, want redis.Nil after its 2 s", err, took)
	}
	admin.RPush(ctx, "served", "on the primary")
	if got := <-served; got != "[served on the primary] <nil>" {
		t.Errorf("the other got %s", got)
	}
	if h.Status().Trips != 1 || local.Client(t).LLen(ctx, "empty").Val() != 1 {
		t.Errorf("status %+v", h.Status())
	}
}

// An outage ends what waits on the primary, long before its time-out: what may have run with its own error,
// and what is harmless twice goes on on local.
func TestOutageEndsBlockedCalls(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		silence time.Duration
		hit     func(s *redistest.Server, refuse func(), rdb *redis.Client)
	}{
		"killed": {300 * time.Millisecond, func(s *redistest.Server, _ func(), _ *redis.Client) { s.Kill() }},
		"hung":   {300 * time.Millisecond, func(s *redistest.Server, _ func(), _ *redis.Client) { s.Hang() }},
		"unreachable": {10 * time.Minute, func(_ *redistest.Server, refuse func(), rdb *redis.Client) {
			refuse() // the connections that there are stay as silent as they were
			rdb.Get(ctx, "k")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary, local := redistest.Start(t), redistest.Start(t)
			w := &wall{}
			o := primary.Options()
			w.guard(o)
			rdb := redis.NewClient(o)
			defer rdb.Close()
			h := fallback.New(local.Client(t), cold(), fallback.WithLogger((&lines{}).logger()), fallback.WithHang(c.silence, 150*time.Millisecond))
			defer h.Shutdown(ctx)
			rdb.AddHook(h)
			at := local.Client(t)
			at.RPush(ctx, "q", "on local")
			at.XAdd(ctx, &redis.XAddArgs{Stream: "s", ID: "1-1", Values: []any{"f", "v"}})

			var wg sync.WaitGroup
			var popped, read error
			var streams []redis.XStream
			began := time.Now()
			wg.Go(func() { popped = rdb.BLPop(ctx, time.Minute, "q").Err() })
			wg.Go(func() {
				streams, read = rdb.XRead(ctx, &redis.XReadArgs{Streams: []string{"s", "0"}, Block: time.Minute}).Result()
			})
			blocked(t, primary.Client(t), 2)
			c.hit(primary, w.raise, rdb)
			wg.Wait()
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("they came back after %v", took)
			}
			var both *fallback.Error
			if popped == nil || popped == redis.Nil || errors.As(popped, &both) { //nolint:errorlint // as go-redis returns it
				t.Errorf("BLPOP ended with %v, want its own error", popped)
			}
			if n := at.LLen(ctx, "q").Val(); n != 1 {
				t.Errorf("%d left on local: BLPOP may have run, and was repeated", n)
			}
			if read != nil || len(streams) != 1 || streams[0].Messages[0].ID != "1-1" {
				t.Errorf("XREAD: %v, %v; want what local has", streams, read)
			}
			if st := h.Status(); st.Serving != fallback.Local || st.Reason != fallback.ReasonOutage {
				t.Errorf("status %+v", st)
			}
		})
	}
}

// A caller who gives up is not kept by the server he waits on, if he has told go-redis to mind.
func TestBlockedCallIsCancelled(t *testing.T) {
	t.Parallel()
	primary, local := redistest.Start(t), redistest.Start(t)
	o := primary.Options()
	o.ContextTimeoutEnabled = true
	rdb := redis.NewClient(o)
	defer rdb.Close()
	h := fallback.New(local.Client(t), cold(), fallback.WithLogger((&lines{}).logger()))
	defer h.Shutdown(ctx)
	rdb.AddHook(h)
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := rdb.BLPop(short, time.Minute, "q").Err(); err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("ended with %v after %v", err, time.Since(began))
	}
	if st := h.Status(); st.Serving != fallback.Primary || st.Primary.Breaker != "closed" {
		t.Errorf("status %+v", st)
	}
}
