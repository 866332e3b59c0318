package fallback_test

import (
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// cachedPair is a client with client-side caching, and the hook, on two real servers.
func cachedPair(t *testing.T, opts ...fallback.Option) (primary, local *redistest.Server, rdb *redis.Client, h *fallback.Hook) {
	t.Helper()
	primary, local = redistest.Start(t), redistest.Start(t)
	o := primary.Options()
	o.Protocol, o.ClientSideCacheConfig = 3, &redis.ClientSideCacheConfig{}
	rdb = redis.NewClient(o)
	h = fallback.New(local.Client(t), append([]fallback.Option{fallback.WithLogger((&lines{}).logger())}, opts...)...)
	rdb.AddHook(h)
	t.Cleanup(func() {
		_ = h.Shutdown(ctx)
		_ = rdb.Close()
	})
	return primary, local, rdb, h
}

func hits(t *testing.T, rdb *redis.Client, key, want string) uint64 {
	t.Helper()
	before := rdb.CSCStats().Hits
	for range 5 {
		if v, err := rdb.Get(ctx, key).Result(); err != nil || v != want {
			t.Fatalf("GET: %q, %v, want %q", v, err, want)
		}
	}
	return rdb.CSCStats().Hits - before
}

// Reads are answered by the cache, and what another client changes is noticed through our connections.
func TestCachedReadsPassTheHook(t *testing.T) {
	t.Parallel()
	primary, _, rdb, _ := cachedPair(t)
	cachedReads(t, primary.Client(t), rdb)
	for face, ap := range faces(t, rdb, false) {
		before := rdb.CSCStats().Hits
		if v, err := ap.Get(ctx, "k").Result(); err != nil || v != "3" || rdb.CSCStats().Hits != before+1 {
			t.Errorf("%s: a read alone in its batch is not answered by the cache: %q, %v", face, v, err)
		}
	}
}

func TestCachedReadsPassTheHookOverTLS(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	o := primary.Options()
	o.Addr, o.TLSConfig = overTLS(t, primary.Addr())
	o.Protocol, o.ClientSideCacheConfig = 3, &redis.ClientSideCacheConfig{}
	rdb := redis.NewClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	rdb.AddHook(fallback.New(redistest.Start(t).Client(t)))
	cachedReads(t, primary.Client(t), rdb)
}

func cachedReads(t *testing.T, other, rdb *redis.Client) {
	t.Helper()
	other.Set(ctx, "k", "1", 0)
	if n := hits(t, rdb, "k", "1"); n != 4 {
		t.Errorf("%d of 5 reads were answered by the cache, want 4", n)
	}
	other.Set(ctx, "k", "2", 0)
	eventually(t, "the invalidation", func() bool { return rdb.Get(ctx, "k").Val() == "2" })
	if n := hits(t, rdb, "k", "2"); n < 4 {
		t.Errorf("%d of 5 reads were answered by the cache", n)
	}
	if err := rdb.Set(ctx, "k", "3", 0).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the invalidation of its own write", func() bool { return rdb.Get(ctx, "k").Val() == "3" })
}

// The cache is the primary's: local answers past it, and what changed on the primary meanwhile, by others
// or by the journal, is not served from it after the return.
func TestCachedReadsAcrossASwitch(t *testing.T) {
	t.Parallel()
	primary, local, rdb, h := cachedPair(t)
	other := primary.Client(t)
	other.Set(ctx, "k", "primary", 0)
	other.Set(ctx, "theirs", "primary", 0)
	hits(t, rdb, "k", "primary")
	hits(t, rdb, "theirs", "primary")
	h.Pin(fallback.Local)
	if _, err := rdb.Get(ctx, "k").Result(); err != redis.Nil { //nolint:errorlint // untouched
		t.Errorf("local does not have it, and the answer is %v", err)
	}
	rdb.Set(ctx, "k", "local", 0)
	if n := hits(t, rdb, "k", "local"); n != 0 || local.Get(t, "k") != "local" {
		t.Errorf("%d reads came from the primary's cache while local serves", n)
	}
	other.Set(ctx, "theirs", "changed", 0)
	h.Pin(fallback.Primary)
	for key, want := range map[string]string{"theirs": "changed", "k": "local"} {
		eventually(t, "the primary's new value", func() bool { return rdb.Get(ctx, key).Val() == want })
		if n := hits(t, rdb, key, want); n < 4 {
			t.Errorf("%s: the cache works no more after the return: %d of 5", key, n)
		}
	}
}

// An outage takes the connections that the cache listens on: what it held is gone with them.
func TestCachedReadsAcrossAnOutage(t *testing.T) {
	t.Parallel()
	primary, _, rdb, h := cachedPair(t, quick())
	primary.Client(t).Set(ctx, "k", "old", 0)
	hits(t, rdb, "k", "old")
	primary.Kill()
	eventually(t, "the trip", func() bool {
		rdb.Set(ctx, "other", 1, 0)
		return h.Serving() == fallback.Local
	})
	if _, err := rdb.Get(ctx, "k").Result(); err != redis.Nil { //nolint:errorlint // untouched
		t.Errorf("local does not have it, and the answer is %v", err)
	}
	h.Pin(fallback.Local)
	primary.Restart(t)
	primary.Client(t).Set(ctx, "k", "new", 0)
	h.Pin(fallback.Primary)
	eventually(t, "the new value", func() bool { return rdb.Get(ctx, "k").Val() == "new" })
	if n := hits(t, rdb, "k", "new"); n < 4 {
		t.Errorf("the cache works no more after the return: %d of 5", n)
	}
}

// A cached read asks nobody: a primary that is gone is not noticed by it.
func TestCachedReadsAskNoServer(t *testing.T) {
	t.Parallel()
	primary, _, rdb, h := cachedPair(t)
	primary.Client(t).Set(ctx, "k", "1", 0)
	hits(t, rdb, "k", "1")
	primary.Hang()
	if n := hits(t, rdb, "k", "1"); n != 5 || h.Serving() != fallback.Primary {
		t.Errorf("%d of 5 reads came from the cache, and %v serves", n, h.Serving())
	}
	primary.Resume()
}
