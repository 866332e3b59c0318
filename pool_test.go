package fallback_test

import (
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// A program that holds all connections of local's pool finds it busy, not down: local goes on being one to
// switch to.
func TestLocalsPoolIsExhausted(t *testing.T) {
	t.Parallel()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	o := local.Options()
	o.PoolSize, o.PoolTimeout = 2, 300*time.Millisecond
	rdb, back := redis.NewClient(primary.Options()), redis.NewClient(o)
	h := fallback.New(back, cold(), fallback.WithLogger((&lines{}).logger()), fallback.WithLocalCheck(50*time.Millisecond), fallback.WithProbe("", 100*time.Millisecond))
	rdb.AddHook(h)
	t.Cleanup(func() {
		_ = h.Shutdown(ctx)
		_, _ = rdb.Close(), back.Close()
	})
	rdb.Ping(ctx)
	var held []*redis.Conn
	for range o.PoolSize {
		conn := back.Conn()
		defer conn.Close()
		if err := conn.Ping(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	for range 10 {
		time.Sleep(50 * time.Millisecond)
		if st := h.Status().Local; st.Breaker != "closed" || st.Failed != 0 {
			t.Fatalf("local is held to be down: %+v", st)
		}
	}
	primary.Exhaust()
	_ = rdb.Set(ctx, "k", "v", 0).Err()
	if h.Serving() != fallback.Local {
		t.Errorf("no trip: %+v", h.Status())
	}
	_ = held[0].Close()
	eventually(t, "local to answer", func() bool { return rdb.Set(ctx, "k", "v", 0).Err() == nil })
}
