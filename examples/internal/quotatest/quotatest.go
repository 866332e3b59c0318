// Package quotatest has what the tests of the examples share: two servers, and a hook that looks at the first
// one again after milliseconds.
package quotatest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis/go-redis/v9"
)

// Pair is a metered Redis, a second one, and a client with a hook between them.
type Pair struct {
	Hosted, Local *fallbacktest.Server
	RDB           *redis.Client
	Hook          *fallback.Hook
}

// New starts a pair that ends with the test.
func New(t *testing.T) *Pair {
	t.Helper()
	p := &Pair{Hosted: fallbacktest.Run(t), Local: fallbacktest.Run(t)}
	p.RDB = redis.NewClient(p.Hosted.Options())
	local := redis.NewClient(p.Local.Options())
	p.Hook = fallback.New(local, Options()...)
	p.RDB.AddHook(p.Hook)
	t.Cleanup(func() {
		_ = p.Hook.Shutdown(context.Background())
		_ = p.RDB.Close()
		_ = local.Close()
	})
	return p
}

// Options are those of a quiet hook that returns as soon as the quota is renewed.
func Options() []fallback.Option {
	return []fallback.Option{
		fallback.WithLogger(slog.New(slog.DiscardHandler)),
		fallback.WithHealth(health.Config{
			Hold: 20 * time.Millisecond, MaxHold: 20 * time.Millisecond, Cooldown: 20 * time.Millisecond, Every: time.Millisecond,
		}),
	}
}

// Renew renews the quota, and waits until the hosted Redis serves again: with all that was written meanwhile.
func (p *Pair) Renew(t *testing.T) {
	t.Helper()
	before := p.Hook.Status().Returns
	p.Hosted.Renew()
	// The return is counted when all of it is over: one that is exhausted again before might be told as its part.
	Eventually(t, "the return", func() bool { s := p.Hook.Status(); return s.Serving == fallback.Primary && s.Returns > before })
}

// Eventually waits for a condition, up to a minute.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}
