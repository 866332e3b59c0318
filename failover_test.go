package fallback_test

import (
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// While Sentinel looks for a new master, local serves; then the new master does.
func TestSentinelFailoverOfThePrimary(t *testing.T) {
	t.Parallel()
	group, local := redistest.StartGroup(t), redistest.Start(t)
	rdb := redis.NewFailoverClient(group.Options())
	defer rdb.Close()
	h := fallback.New(local.Client(t), cold(), fallback.WithLogger((&lines{}).logger()), quick())
	defer h.Shutdown(ctx)
	rdb.AddHook(h)
	if n, err := rdb.Incr(ctx, "n").Result(); n != 1 || err != nil {
		t.Fatalf("INCR on the first master: %d, %v", n, err)
	}
	eventually(t, "the replica to have it", func() bool { return group.Replica.Get(t, "n") == "1" })
	group.Master.Kill()
	if err := rdb.Set(ctx, "k", "local", 0).Err(); err != nil || local.Get(t, "k") != "local" {
		t.Fatalf("SET without a master: %v", err)
	}
	if st := h.Status(); st.Serving != fallback.Local || st.Reason != fallback.ReasonOutage {
		t.Fatalf("status %+v", st)
	}
	eventually(t, "the return to the new master", func() bool { return h.Serving() == fallback.Primary })
	if n, err := rdb.Incr(ctx, "n").Result(); n != 2 || err != nil || group.Replica.Get(t, "n") != "2" {
		t.Errorf("INCR on the new master: %d, %v; want 2", n, err)
	}
	if st := h.Status(); st.Trips != 1 || st.Returns != 1 {
		t.Errorf("status %+v", st)
	}
}

// A group that is local fails over for itself. Meanwhile callers get both causes, and the probes of the
// primary go on; then its new master serves.
func TestSentinelFailoverOfLocal(t *testing.T) {
	t.Parallel()
	primary, group := redistest.Start(t), redistest.StartGroup(t)
	rdb := redis.NewClient(primary.Options())
	defer rdb.Close()
	back := redis.NewFailoverClient(group.Options())
	defer back.Close()
	h := fallback.New(back, cold(), fallback.WithLogger((&lines{}).logger()), quick())
	defer h.Shutdown(ctx)
	rdb.AddHook(h)
	primary.Kill()
	if err := rdb.Set(ctx, "k", 1, 0).Err(); err != nil || group.Get(t, "k") != "1" {
		t.Fatalf("SET without a primary: %v", err)
	}
	eventually(t, "the replica to have it", func() bool { return group.Replica.Get(t, "k") == "1" })
	group.Master.Kill()
	eventually(t, "the new master to serve", func() bool {
		return rdb.Set(ctx, "k", 2, 0).Err() == nil && group.Replica.Get(t, "k") == "2"
	})
	if h.Serving() != fallback.Local {
		t.Errorf("status %+v", h.Status())
	}
}

// READONLY is what a client gets that still talks to a master that was one: it is refused, and tried
// again until the client has found the new one.
func TestDemotedMasterIsBusy(t *testing.T) {
	t.Parallel()
	group, local := redistest.StartGroup(t), redistest.Start(t)
	rdb := redis.NewFailoverClient(group.Options())
	defer rdb.Close()
	h := fallback.New(local.Client(t), cold(), fallback.WithLogger((&lines{}).logger()), quick())
	defer h.Shutdown(ctx)
	rdb.AddHook(h)
	if err := rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	admin := group.Sentinel.Client(t)
	eventually(t, "Sentinel to begin", func() bool { return admin.Do(ctx, "sentinel", "failover", "main").Err() == nil })
	eventually(t, "the new master to serve", func() bool {
		if err := rdb.Set(ctx, "k", 2, 0).Err(); err != nil {
			t.Fatalf("SET while the master changes: %v", err)
		}
		return isMaster(t, group.Replica) && group.Replica.Get(t, "k") == "2" && h.Serving() == fallback.Primary
	})
}

func isMaster(t *testing.T, s *redistest.Server) bool {
	t.Helper()
	return s.Client(t).Do(ctx, "role").Val().([]any)[0] == "master"
}
