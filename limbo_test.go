package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// walled is a pair whose primary is gone, so that connections to it are not even tried: they lead nowhere.
func walled(t *testing.T, change func(*redis.Options), opts ...fallback.Option) (*pair, *wall) {
	t.Helper()
	w := &wall{}
	p := pairOf(t, fallbacktest.Run(t, fallbacktest.WithPassword("one")), fallbacktest.Run(t, fallbacktest.WithPassword("two")),
		func(o *redis.Options) {
			if change != nil {
				change(o)
			}
			w.guard(o)
		}, opts...)
	if err := p.rdb.Set(ctx, "k", "primary", 0).Err(); err != nil {
		t.Fatal(err)
	}
	w.raise()
	eventually(t, "the trip", func() bool { // MinIdleConns may have made some more just now
		p.primary.Cut()
		if err := p.rdb.Set(ctx, "k", "local", 0).Err(); err != nil {
			t.Fatal(err)
		}
		return p.h.Serving() == fallback.Local
	})
	return p, w
}

// What must go to a primary that is gone fails at once, with the reason, however its connection is set up:
// go-redis would dial, and try again, for seconds.
func TestNothingIsDialedInAnOutage(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*redis.Options){
		"plainly":     nil,
		"RESP2":       func(o *redis.Options) { o.Protocol = 2 },
		"as somebody": func(o *redis.Options) { o.Username = "default" },
		"with a name": func(o *redis.Options) { o.ClientName, o.DB = "me", 3 },
		"no identity": func(o *redis.Options) { o.DisableIdentity = true },
		"with credentials": func(o *redis.Options) {
			o.CredentialsProvider = func() (string, string) { return "default", "one" }
		},
		"patiently": func(o *redis.Options) { o.MaxRetries, o.MinRetryBackoff = 10, time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, w := walled(t, change)
			dials, began := w.dials.Load(), time.Now()
			for _, line := range [][]any{{"config", "set", "maxmemory", "1"}, {"client", "kill", "id", "1"}, {"client", "no-evict", "on"}, {"client", "id"}, {"client", "list"}, {"shutdown"}} {
				err := p.rdb.Do(ctx, line...).Err()
				var dial *net.OpError
				if !errors.As(err, &dial) || dial.Op != "dial" {
					t.Errorf("%v: %v, want the primary's own dial error", line, err)
				}
			}
			if took, n := time.Since(began), w.dials.Load()-dials; took > 4*time.Second || n != 0 {
				t.Errorf("it took %v and %d dials", took, n)
			}
			ps := p.rdb.Subscribe(ctx) // nothing yet
			defer ps.Close()
			if _, err := ps.ReceiveTimeout(ctx, 20*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("nothing to receive: %v", err)
			}
			if err := ps.Subscribe(ctx, "c"); err != nil {
				t.Fatal(err)
			}
			confirmed(t, ps)
			if err := p.rdb.Publish(ctx, "c", "heard").Err(); err != nil || heard(t, ps.Channel()) != "heard" {
				t.Errorf("PUBLISH on local: %v", err)
			}
			if n := w.dials.Load() - dials; n != 0 {
				t.Errorf("%d dials for a subscription", n)
			}
		})
	}
}

// A connection that was never made, and waits in the pool when the primary is back, fails nobody: each INCR
// runs once.
func TestLimboLeftInThePool(t *testing.T) {
	t.Parallel()
	for _, retries := range []int{0, -1} {
		t.Run(fmt.Sprint("MaxRetries ", retries), func(t *testing.T) {
			t.Parallel()
			p, w := walled(t, func(o *redis.Options) { o.MinIdleConns, o.PoolSize, o.MaxRetries = 8, 20, retries }, quick())
			eventually(t, "the pool to be full of them", func() bool {
				_ = p.rdb.ConfigSet(ctx, "maxmemory", "1").Err()
				return p.rdb.PoolStats().IdleConns >= 8
			})
			w.lower()
			eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
			var wg sync.WaitGroup
			for range 30 {
				wg.Go(func() {
					if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
						t.Errorf("INCR after the return: %v", err)
					}
				})
			}
			wg.Wait()
			if n := get(t, p.primary, "n"); n != "30" {
				t.Errorf("n is %s on the primary, want 30", n)
			}
			p.serves(t, fallback.Primary)
		})
	}
}

// A Watch or a Conn that had begun before the outage meets it the same way, and ends at once.
func TestSessionsMeetLimbo(t *testing.T) {
	t.Parallel()
	p, w := walled(t, nil)
	dials := w.dials.Load()
	conn := p.rdb.Conn()
	defer conn.Close()
	if err := conn.Do(ctx, "client", "no-evict", "on").Err(); err == nil {
		t.Error("CLIENT NO-EVICT, which stays on the primary, succeeded in an outage")
	}
	if err := conn.Set(ctx, "k", "again", 0).Err(); err != nil || get(t, p.local, "k") != "again" {
		t.Errorf("its SET: %v", err)
	}
	if err := add(p.rdb, "n", nil); err != nil || get(t, p.local, "n") != "1" {
		t.Errorf("a Watch: %v", err)
	}
	if n := w.dials.Load() - dials; n != 0 {
		t.Errorf("%d dials", n)
	}
	p.noSessions(t)
}

// Who subscribes while the primary is not dialed is heard on local, whatever OnConnect sends.
func TestSubscribeWithOnConnectInAnOutage(t *testing.T) {
	t.Parallel()
	p, _ := walled(t, func(o *redis.Options) {
		o.OnConnect = func(ctx context.Context, cn *redis.Conn) error { return cn.Ping(ctx).Err() }
	})
	ps := p.rdb.Subscribe(ctx, "c")
	defer ps.Close()
	confirmed(t, ps)
	if err := p.rdb.Publish(ctx, "c", "heard").Err(); err != nil || heard(t, ps.Channel()) != "heard" {
		t.Errorf("PUBLISH on local: %v", err)
	}
}
