package fallback_test

import (
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// ours counts goroutines that run code of this module.
func ours() int {
	buf := make([]byte, 4<<20)
	n := 0
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(stack, part) }) {
			n++
		}
	}
	return n
}

// parts of the module that may have a goroutine.
var parts = []string{
	"fallback.(*Hook)", "fallback.(*queue", "fallback.(*hub)", "fallback.(*listener)", "fallback.(*seat)",
	"fallback.(*side)", "fallback.(*share).beat", "fallback.(*share).comeBack", "fallback.(*dialTarget)", "fallback.(*limbo)", "fallback.within", "internal/wire.",
}

// No goroutine stands idle: not while the primary serves, not while local does and probes wait.
func TestNoGoroutineStandsIdle(t *testing.T) {
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	p := pairOf(t, primary, local, nil)
	p.rdb.Ping(ctx)
	eventually(t, "quiet while the primary serves", func() bool { return ours() == 0 })
	primary.Exhaust()
	p.rdb.Ping(ctx)
	p.rdb.Incr(ctx, "n")
	p.serves(t, fallback.Local)
	eventually(t, "quiet while local serves", func() bool { return ours() == 0 })
}

// A hook that is dropped with its clients, without Shutdown, is collected.
func TestDroppedHookIsCollected(t *testing.T) {
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	primary.Exhaust()
	var collected atomic.Bool
	func() {
		rdb, back := redis.NewClient(primary.Options()), redis.NewClient(local.Options())
		h := fallback.New(back, fallback.WithLogger(slog.New(slog.DiscardHandler)))
		rdb.AddHook(h)
		if err := rdb.Incr(ctx, "n").Err(); err != nil { // trips: a probe and a check of local are due
			t.Fatal(err)
		}
		runtime.AddCleanup(h, func(struct{}) { collected.Store(true) }, struct{}{})
		_ = rdb.Close()
		_ = back.Close()
	}()
	eventually(t, "the hook to be collected", func() bool {
		runtime.GC()
		return collected.Load()
	})
}

// After Shutdown nothing trips, returns or is probed; the server that serves goes on.
func TestShutdown(t *testing.T) {
	t.Parallel()
	p := newPair(t, quick())
	p.primary.Exhaust()
	p.rdb.Incr(ctx, "n")
	p.serves(t, fallback.Local)
	if err := p.h.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	p.primary.Renew()
	time.Sleep(100 * time.Millisecond)
	if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
		t.Errorf("a command after Shutdown: %v", err)
	}
	p.serves(t, fallback.Local)
	if err := p.h.Probe(ctx); err == nil {
		t.Error("Probe after Shutdown is no error")
	}
	if err := p.h.Shutdown(ctx); err != nil {
		t.Errorf("a second Shutdown: %v", err)
	}
}
