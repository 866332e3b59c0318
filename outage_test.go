package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// realPair is a program with the hook between two redis-server processes.
func realPair(t *testing.T, opts ...fallback.Option) (primary, local *redistest.Server, rdb *redis.Client, h *fallback.Hook) {
	t.Helper()
	primary, local = redistest.Start(t), redistest.Start(t)
	rdb = redis.NewClient(primary.Options())
	back := local.Client(t)
	h = fallback.New(back, append([]fallback.Option{cold(), fallback.WithLogger((&lines{}).logger())}, opts...)...)
	rdb.AddHook(h)
	t.Cleanup(func() {
		_ = h.Shutdown(ctx)
		_ = rdb.Close()
	})
	return primary, local, rdb, h
}

// What may be repeated never fails, whatever happens to the primary.
func TestOutages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		hit  func(*redistest.Server)
	}{
		{"killed", (*redistest.Server).Kill},
		{"hung", (*redistest.Server).Hang},
	} {
		for _, workers := range []int{1, 32} {
			t.Run(fmt.Sprintf("%s/%d", c.name, workers), func(t *testing.T) {
				t.Parallel()
				primary, local, rdb, h := realPair(t)
				set := func() error { return rdb.Set(ctx, "k", "v", 0).Err() }
				if err := set(); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				var failed atomic.Pointer[error]
				stop := make(chan struct{})
				for range workers {
					wg.Go(func() {
						for {
							select {
							case <-stop:
								return
							default:
							}
							if err := set(); err != nil {
								failed.CompareAndSwap(nil, &err)
							}
							if workers == 1 {
								time.Sleep(200 * time.Millisecond)
							}
						}
					})
				}
				time.Sleep(100 * time.Millisecond)
				c.hit(primary)
				eventually(t, "the trip", func() bool { return h.Serving() == fallback.Local })
				time.Sleep(100 * time.Millisecond)
				close(stop)
				wg.Wait()
				if err := failed.Load(); err != nil {
					t.Errorf("a SET failed: %v", *err)
				}
				if local.Get(t, "k") != "v" {
					t.Error("local has not answered")
				}
				if st := h.Status(); st.Trips != 1 || st.Reason != fallback.ReasonOutage {
					t.Errorf("status %+v", st)
				}
			})
		}
	}
}

// What may have run on a server that hangs is lost; it runs there once at most, and never on local.
func TestHungServerLosesWhatMustNotRunTwice(t *testing.T) {
	t.Parallel()
	primary, local, rdb, h := realPair(t)
	if err := rdb.Incr(ctx, "n").Err(); err != nil {
		t.Fatal(err)
	}
	primary.Hang()
	err := rdb.Incr(ctx, "n").Err()
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("INCR on a hung server: %v, want the time-out that go-redis would give", err)
	}
	if cause := h.Status().Cause; h.Serving() == fallback.Local && !strings.Contains(cause, "the server has stopped answering") {
		t.Errorf("the cause is %q: it does not say that the server hangs", cause)
	}
	if h.Serving() != fallback.Local {
		t.Fatalf("status %+v", h.Status())
	}
	if v, err := rdb.Incr(ctx, "n").Result(); v != 1 || err != nil {
		t.Errorf("the next INCR: %d, %v; want 1 from local", v, err)
	}
	primary.Resume()
	eventually(t, "the lost INCR", func() bool { return primary.Get(t, "n") == "2" })
	if n := local.Get(t, "n"); n != "1" {
		t.Errorf("n on local is %s, want 1", n)
	}
}

// Callers whose own deadlines are shorter than the silence that shows a hang do not hide it.
func TestHungServerBehindShortDeadlines(t *testing.T) {
	t.Parallel()
	primary, local := redistest.Start(t), redistest.Start(t)
	o := primary.Options()
	o.ContextTimeoutEnabled = true
	rdb := redis.NewClient(o)
	defer rdb.Close()
	h := fallback.New(local.Client(t), cold(), fallback.WithLogger((&lines{}).logger()))
	defer h.Shutdown(ctx)
	rdb.AddHook(h)
	if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	primary.Hang()
	eventually(t, "the trip", func() bool {
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		_ = rdb.Get(short, "k").Err()
		return h.Serving() == fallback.Local
	})
}

// A blocking command waits as long as it was told on a living server, and is ended by an outage.
func TestBlockingCommandsAreCutOnlyByAnOutage(t *testing.T) {
	t.Parallel()
	primary, _, rdb, h := realPair(t, fallback.WithHang(50*time.Millisecond, 2*time.Second))
	if _, err := rdb.BLPop(ctx, time.Second, "nosuch").Result(); err != redis.Nil { //nolint:errorlint // untouched
		t.Fatalf("BLPOP on a living server: %v, want redis.Nil after its second", err)
	}
	if h.Serving() != fallback.Primary {
		t.Fatal("a blocking command was taken for a hang")
	}
	done := make(chan error, 1)
	go func() { done <- rdb.BLPop(ctx, 0, "nosuch").Err() }()
	time.Sleep(100 * time.Millisecond)
	primary.Hang()
	go rdb.Get(ctx, "k")
	select {
	case err := <-done:
		if err == nil {
			t.Error("BLPOP on a hung server has a value")
		}
	case <-time.After(20 * time.Second):
		t.Error("BLPOP hangs with its server")
	}
}

// A server that is slow but lives is left alone, whatever the time-outs of the hook are.
func TestSlowServerIsNotFailedOver(t *testing.T) {
	t.Parallel()
	primary, _, rdb, h := realPair(t, fallback.WithHang(100*time.Millisecond, 5*time.Second))
	admin := primary.Client(t)
	if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	// CLIENT PAUSE WRITE holds writes back and answers PING: the picture of a service above its rate.
	if err := admin.Do(ctx, "client", "pause", 700, "write").Err(); err != nil {
		t.Fatal(err)
	}
	if v, err := rdb.Incr(ctx, "n").Result(); v != 1 || err != nil {
		t.Errorf("INCR on a slow server: %d, %v", v, err)
	}
	if h.Serving() != fallback.Primary || primary.Get(t, "n") != "1" {
		t.Errorf("status %+v, n %s", h.Status(), primary.Get(t, "n"))
	}
}

func TestReturnsAfterAnOutage(t *testing.T) {
	t.Parallel()
	primary, _, rdb, h := realPair(t, quick())
	rdb.Ping(ctx)
	primary.Kill()
	if err := rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if h.Serving() != fallback.Local {
		t.Fatalf("status %+v", h.Status())
	}
	primary.Restart(t)
	eventually(t, "the return", func() bool { return h.Serving() == fallback.Primary })
	for range 50 { // no connection that was never made is left in the pool
		if err := rdb.Set(ctx, "k", 2, 0).Err(); err != nil {
			t.Fatalf("after the return: %v", err)
		}
	}
	if primary.Get(t, "k") != "2" {
		t.Error("after the return the primary does not serve")
	}
}

func TestStartsWithEitherServerAbsent(t *testing.T) {
	t.Parallel()
	t.Run("primary", func(t *testing.T) {
		t.Parallel()
		primary, local, rdb, _ := realPair(t)
		primary.Kill()
		if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil || local.Get(t, "k") != "v" {
			t.Errorf("the first command without a primary: %v", err)
		}
	})
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		primary, local, rdb, h := realPair(t, fallback.WithLocalCheck(50*time.Millisecond))
		local.Kill()
		if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil || primary.Get(t, "k") != "v" {
			t.Errorf("a command without a local: %v", err)
		}
		primary.Kill()
		err := rdb.Set(ctx, "k", "v", 0).Err()
		var dial *net.OpError
		if !errors.As(err, &dial) || dial.Op != "dial" || h.Serving() != fallback.Primary {
			t.Errorf("with both gone: %#v, want the primary's own dial error; %v serves", err, h.Serving())
		}
		local.Restart(t)
		eventually(t, "local to be seen", func() bool { return h.Status().Local.Breaker == "closed" })
		if err := rdb.Set(ctx, "k", "w", 0).Err(); err != nil || local.Get(t, "k") != "w" {
			t.Errorf("after local came up: %v", err)
		}
	})
}

func TestBothServersDown(t *testing.T) {
	t.Parallel()
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprintf("written %v", written), func(t *testing.T) {
			t.Parallel()
			patience := time.Duration(0) // a minute
			if !written {
				patience = 50 * time.Millisecond
			}
			p := newPair(t, fallback.WithLocalCheck(20*time.Millisecond), fallback.WithJournal(fallback.JournalConfig{Patience: patience}))
			bothDown(t, p, written)
		})
	}
}

func bothDown(t *testing.T, p *pair, written bool) {
	t.Helper()
	p.primary.Exhaust()
	err := p.rdb.Get(ctx, "n").Err()
	if written {
		err = p.rdb.Incr(ctx, "n").Err()
	}
	if err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
		t.Fatal(err)
	}
	p.serves(t, fallback.Local)
	p.local.Stop()
	var both *fallback.Error
	var limit *fallback.LimitError
	for range 3 {
		err := p.rdb.Incr(ctx, "n").Err()
		if !errors.As(err, &both) || !errors.As(err, &limit) {
			t.Fatalf("error %#v, want both causes", err)
		}
	}
	_, err = p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "n")
		pipe.Get(ctx, "n")
		return nil
	})
	if !errors.As(err, &both) {
		t.Errorf("a pipeline: %v, want both causes", err)
	}
	_, err = p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "n")
		return nil
	})
	if !errors.As(err, &both) {
		t.Errorf("a transaction: %v, want both causes", err)
	}
	p.primary.Renew()
	if written {
		// What local holds is not to come after something newer: it has a minute to come back.
		for range 10 {
			_ = p.h.Probe(ctx)
		}
		p.serves(t, fallback.Local)
		if err := p.local.Restart(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the return", func() bool {
			_ = p.h.Probe(ctx)
			return p.h.Serving() == fallback.Primary
		})
		if get(t, p.primary, "n") != "1" {
			t.Errorf("n is %q on the primary, want what local acknowledged", get(t, p.primary, "n"))
		}
		return
	}
	// With nothing else to serve, the primary is looked at out of turn, and when local has been away for
	// long enough it serves.
	eventually(t, "the early return", func() bool {
		_ = p.rdb.Incr(ctx, "n").Err()
		_ = p.h.Probe(ctx)
		return p.h.Serving() == fallback.Primary
	})
}

// What fills the pool up in an outage leads nowhere: a probe is not given it, nor is, after the return,
// a command.
func TestMinIdleConnsInAnOutage(t *testing.T) {
	t.Parallel()
	p := pairOf(t, fallbacktest.Run(t), fallbacktest.Run(t), func(o *redis.Options) { o.MinIdleConns, o.PoolSize = 3, 3 })
	eventually(t, "the pool to be full", func() bool { return p.primary.Connections() == 3 })
	p.primary.Stop()
	eventually(t, "the trip", func() bool { p.rdb.Get(ctx, "k"); return p.h.Serving() == fallback.Local })
	eventually(t, "the pool to be full again", func() bool { s := p.rdb.PoolStats(); return s.IdleConns == 3 && s.TotalConns == 3 })
	if err := p.primary.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := p.h.Probe(ctx); err != nil {
		t.Errorf("the first probe: %v", err)
	}
	p.h.Pin(fallback.Primary)
	if err := add(p.rdb, "n", nil); err != nil {
		t.Errorf("a Watch: %v", err)
	}
}
