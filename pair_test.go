package fallback_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis/go-redis/v9"
)

var ctx = context.Background()

type pair struct {
	primary, local *fallbacktest.Server
	rdb            *redis.Client
	h              *fallback.Hook
	log            *lines
}

func newPair(t *testing.T, opts ...fallback.Option) *pair {
	t.Helper()
	return pairOf(t, fallbacktest.Run(t), fallbacktest.Run(t), nil, opts...)
}

func pairOf(t *testing.T, primary, local *fallbacktest.Server, change func(*redis.Options), opts ...fallback.Option) *pair {
	t.Helper()
	p := &pair{primary: primary, local: local, log: &lines{}}
	o := primary.Options()
	if change != nil {
		change(o)
	}
	p.rdb = redis.NewClient(o)
	back := redis.NewClient(local.Options())
	p.h = fallback.New(back, append([]fallback.Option{cold(), fallback.WithLogger(p.log.logger())}, opts...)...)
	p.rdb.AddHook(p.h)
	t.Cleanup(func() {
		_ = p.h.Shutdown(ctx)
		_ = p.rdb.Close()
		_ = back.Close()
	})
	return p
}

func (p *pair) serves(t *testing.T, want fallback.Backend) {
	t.Helper()
	if got := p.h.Serving(); got != want {
		t.Fatalf("%v serves, want %v; status %+v", got, want, p.h.Status())
	}
}

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func get(t *testing.T, s *fallbacktest.Server, key string) string {
	t.Helper()
	if !s.Data().Exists(key) {
		return ""
	}
	v, err := s.Data().Get(key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// cold leaves the mirror off, so that what is on local is what was written there: most tests tell by that who
// has answered. The mirror's own, conformance, the crash runs and those of what a hook leaves behind have it.
func cold() fallback.Option { return fallback.WithMirror(fallback.MirrorConfig{Bytes: -1}) }

// withMirror puts it on again.
func withMirror() fallback.Option { return fallback.WithMirror(fallback.MirrorConfig{}) }

func quick() fallback.Option {
	return fallback.WithHealth(health.Config{
		Hold: 20 * time.Millisecond, MaxHold: 20 * time.Millisecond, Cooldown: 20 * time.Millisecond, Every: time.Millisecond,
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}
