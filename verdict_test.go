package fallback_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis/go-redis/v9"
)

func TestCancelledCallsCountForNobody(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.Ping(ctx)
	for range 20 {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := p.rdb.Incr(gone, "n").Err(); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
	}
	if st := p.h.Status(); st.Primary.Failures != 0 || st.Serving != fallback.Primary {
		t.Errorf("status %+v", st)
	}
	p.primary.Exhaust()
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := p.rdb.Incr(gone, "n").Err(); !errors.Is(err, context.Canceled) || get(t, p.local, "n") != "" {
		t.Errorf("a spent context: %v, n on local %q", err, get(t, p.local, "n"))
	}
}

func TestPoolTimeoutsCountForNobody(t *testing.T) {
	t.Parallel()
	p := pairOf(t, fallbacktest.Run(t), fallbacktest.Run(t), func(o *redis.Options) {
		o.PoolSize, o.PoolTimeout, o.MaxRetries = 1, time.Millisecond, -1
	}, fallback.WithRetries(-1))
	conn := p.rdb.Conn() // takes the only connection
	defer conn.Close()
	conn.Ping(ctx)
	for range 20 {
		if err := p.rdb.Incr(ctx, "n").Err(); !errors.Is(err, redis.ErrPoolTimeout) {
			t.Fatalf("error %v, want the pool's time-out", err)
		}
	}
	if st := p.h.Status(); st.Primary.Failures != 0 || st.Primary.Breaker != "closed" || st.Serving != fallback.Primary {
		t.Errorf("status %+v", st)
	}
}

func TestErrorRepliesAreSuccesses(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.Set(ctx, "s", "x", 0)
	for range 20 {
		if err := p.rdb.LPush(ctx, "s", 1).Err(); err == nil || err.Error() != "WRONGTYPE Operation against a key holding the wrong kind of value" {
			t.Fatalf("error %v", err)
		}
		if err := p.rdb.Get(ctx, "nosuch").Err(); err != redis.Nil { //nolint:errorlint // untouched
			t.Fatalf("error %v", err)
		}
	}
	if st := p.h.Status(); st.Primary.Failures != 0 || st.Serving != fallback.Primary {
		t.Errorf("status %+v", st)
	}
}

func TestDeniedIsNotFailedOver(t *testing.T) {
	t.Parallel()
	p := pairOf(t, fallbacktest.Run(t, fallbacktest.WithPassword("right")), fallbacktest.Run(t), func(o *redis.Options) {
		o.Password = "wrong"
	})
	for range 10 {
		if err := p.rdb.Get(ctx, "k").Err(); !redis.IsAuthError(err) {
			t.Fatalf("error %v, want the server's WRONGPASS", err)
		}
	}
	p.serves(t, fallback.Primary)
}

func TestBreakerTripsOnLostReplies(t *testing.T) {
	t.Parallel()
	p := newPair(t, fallback.WithHealth(health.Config{Cooldown: time.Hour}))
	p.primary.LoseReply("INCR", 100)
	for i := range 5 {
		if err := p.rdb.Incr(ctx, "n").Err(); !errors.Is(err, io.EOF) {
			t.Fatalf("INCR %d: %v, want EOF", i+1, err)
		}
	}
	p.serves(t, fallback.Local)
	if v, err := p.rdb.Incr(ctx, "n").Result(); v != 1 || err != nil {
		t.Errorf("INCR after the trip: %d, %v", v, err)
	}
	if get(t, p.primary, "n") != "5" {
		t.Errorf("n on the primary is %s, want 5", get(t, p.primary, "n"))
	}
}

// A local that stops answering is said once, and once that it is back.
func TestLocalGoneIsSaidOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t, fallback.WithLocalCheck(10*time.Millisecond))
	p.rdb.Ping(ctx)
	p.local.Stop()
	p.primary.Exhaust()
	for range 5 {
		_ = p.rdb.Incr(ctx, "n").Err()
	}
	if n := strings.Count(p.log.String(), "local does not answer"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, p.log)
	}
	if err := p.local.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "local to be seen again", func() bool { return strings.Contains(p.log.String(), "local answers again") })
	if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
		t.Errorf("INCR with local back: %v", err)
	}
	p.serves(t, fallback.Local)
}
