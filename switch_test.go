package fallback_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// bubble is a program in fake time: both servers live on pipes.
// Refused dials cost the first call five of them, 100 ms apart, and the next ones nothing. go-redis
// alone would dial twenty times.
// A function of WithOnSwitch may panic or block, and harms nothing.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var seen []fallback.Backend
	var h atomic.Pointer[fallback.Hook]
	p := newPair(
		t,
		fallback.WithOnSwitch(func(fallback.Event) { panic("callback") }),
		fallback.WithOnSwitch(func(e fallback.Event) {
			<-release
			seen = append(seen, e.To)
			h.Load().Status() // may call back into the hook
		}),
	)
	h.Store(p.h)
	for range 3 {
		p.h.Pin(fallback.Local)
		p.h.Pin(fallback.Primary)
	}
	if err := p.rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Errorf("a command while a callback blocks: %v", err)
	}
	soon, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := p.h.Shutdown(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown with a blocked callback: %v", err)
	}
	close(release)
	if err := p.h.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	for i, to := range seen {
		if want := fallback.Backend(1 - i%2); to != want {
			t.Fatalf("event %d leads to %v, want %v: out of order", i, to, want)
		}
	}
	if len(seen) != 6 || !strings.Contains(p.log.String(), "panicked") {
		t.Errorf("%d events of 6; log:\n%s", len(seen), p.log)
	}
}

// A primary that refuses every third command neither runs anything twice nor makes the hook flap.
func TestPartialEnforcementDoesNotFlap(t *testing.T) {
	t.Parallel()
	p := newPair(t, quick())
	p.primary.Exhaust()
	p.primary.Every(3)
	for i := range 300 {
		if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
			t.Fatalf("INCR %d: %v", i+1, err)
		}
		if i%10 == 0 {
			time.Sleep(2 * time.Millisecond) // so that probes have their turn
		}
	}
	st := p.h.Status()
	if st.Trips != 1 || st.Returns != 0 {
		t.Errorf("%d trips and %d returns, want 1 and 0", st.Trips, st.Returns)
	}
	if n, m := get(t, p.primary, "n"), get(t, p.local, "n"); n != "2" || m != "298" {
		t.Errorf("n is %s on the primary and %s on local, want 2 and 298", n, m)
	}
}

// What belongs to one server or connection stays on the primary.
// A Watch that has begun on the primary ends there.
// Two clients of one primary may share a hook, and then share its state.
// Added twice to one client it costs twice, and does nothing twice.
func TestWithRepeatable(t *testing.T) {
	t.Parallel()
	p := newPair(t, fallback.WithRepeatable(func(cmd redis.Cmder) bool { return cmd.Name() == "sadd" }))
	p.primary.LoseReply("SADD", 1)
	if err := p.rdb.SAdd(ctx, "s", "m").Err(); err != nil {
		t.Errorf("a SADD that may run twice: %v", err)
	}
	p.primary.LoseReply("SREM", 1)
	if err := p.rdb.SRem(ctx, "s", "m").Err(); err == nil {
		t.Error("a lost SREM was repeated, though nobody said that it may")
	}
}

// slow keeps the first INCR back, and then answers it with a refusal.
type slow struct {
	builders
	reached, release chan struct{}
	first            atomic.Bool
}

func (s *slow) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "incr" || s.first.Swap(true) {
			return next(ctx, cmd)
		}
		close(s.reached)
		<-s.release
		return reply(fallbacktest.ReplyRequests)
	}
}

// A refusal that arrives after the service has gone to local and come back says nothing of now.
func TestALateRefusalDoesNotTripAgain(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	s := &slow{reached: make(chan struct{}), release: make(chan struct{})}
	p.rdb.AddHook(s) // below ours
	done := make(chan error, 1)
	go func() { done <- p.rdb.Incr(ctx, "n").Err() }()
	<-s.reached
	p.h.Pin(fallback.Local)
	p.h.Pin(fallback.Primary)
	p.h.Unpin()
	close(s.release)
	if err := <-done; err != nil {
		t.Errorf("INCR: %v", err)
	}
	p.serves(t, fallback.Primary)
	if get(t, p.primary, "n") != "1" || p.h.Status().Trips != 0 {
		t.Errorf("n on the primary is %q after %d trips, want 1 and none", get(t, p.primary, "n"), p.h.Status().Trips)
	}
}
