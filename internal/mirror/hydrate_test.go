package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis/go-redis/v9"
)

// hydration is a copyRig with a Hydrator.
type hydration struct {
	*copyRig
	*mirror.Hydrator
	sent   atomic.Int64
	serves atomic.Bool
	looked atomic.Int64 // at serves
	tried  atomic.Int64 // to reach the primary
	fails  atomic.Pointer[error]
}

func newHydration(t *testing.T, fraction float64, keys int) *hydration {
	t.Helper()
	h := &hydration{copyRig: newCopyRig(t)}
	h.serves.Store(true)
	h.Hydrator = mirror.NewHydrator(mirror.HydrateConfig{
		Primary: func(context.Context) (*redis.Client, error) {
			h.tried.Add(1)
			if err := h.fails.Load(); err != nil {
				return nil, *err
			}
			return redis.NewClient(h.primary.Options()), nil
		},
		Serves: func() bool {
			h.looked.Add(1)
			return h.serves.Load()
		},
		Copier: h.copier, Sent: h.sent.Load, Fraction: fraction, Keys: keys,
	})
	h.Start()
	t.Cleanup(h.Close)
	return h
}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in 20 seconds: " + what)
		}
	}
}

// touch is Touch that does not meet the Hydrator at work.
func (h *hydration) touch(db, key string) {
	for {
		before := h.Stats().Dropped
		h.Touch(db, key)
		if h.Stats().Dropped == before {
			return
		}
	}
}

func (h *hydration) idle() bool { return h.Stats().Waiting == 0 }

func TestHydrate(t *testing.T) {
	t.Parallel()
	h := newHydration(t, 1, 0)
	h.fill(h.primary)
	two := databaseTwo(t, h.primary)
	h.check(two.Set(h.ctx, "in two", "v", 0).Err())
	h.check(h.local.Set(h.ctx, "plain", "is here", 0).Err())
	h.sent.Store(1000)
	keys := h.primary.Keys(h.ctx, "*").Val()
	for _, key := range keys {
		h.touch("", key)
		h.touch("", key)
	}
	h.touch("2", "in two")
	h.touch("", "is nowhere")
	until(t, "nothing waits", h.idle)
	if v := databaseTwo(t, h.local).Get(h.ctx, "in two").Val(); v != "v" {
		t.Errorf("in two is %q", v)
	}
	if v := h.local.Get(h.ctx, "plain").Val(); v != "is here" {
		t.Errorf("what local had became %q", v)
	}
	h.check(h.local.Del(h.ctx, "plain").Err())
	h.same(0, "plain")
	s := h.Stats()
	if want := int64(2 * (len(keys) - 1 + 2)); s.Spent != want || s.Hydrated != int64(len(keys)) {
		t.Errorf("%+v, want %d commands for %d keys", s, want, len(keys))
	}
	// What the primary does not have is not asked for again.
	h.touch("", "is nowhere")
	h.touch("", "plain")
	until(t, "nothing waits", h.idle)
	if again := h.Stats(); again.Spent != s.Spent+2 {
		t.Errorf("%d commands, want 2", again.Spent-s.Spent)
	}
}

func TestHydrateWithinItsBudget(t *testing.T) {
	t.Parallel()
	h := newHydration(t, 0.05, 0)
	h.many(1000)
	for i := range 1000 {
		h.touch("", fmt.Sprint("k", i))
	}
	h.sent.Add(400) // 20 commands
	until(t, "10 keys", func() bool { return h.Stats().Hydrated == 10 })
	h.sent.Add(2000)
	until(t, "60 keys", func() bool { return h.Stats().Hydrated == 60 })
	if s := h.Stats(); s.Spent != 120 || h.local.DBSize(h.ctx).Val() != 60 {
		t.Errorf("%+v", s)
	}
}

func TestHydrateOnlyWhileThePrimaryServes(t *testing.T) {
	t.Parallel()
	h := newHydration(t, 1, 0)
	h.many(1)
	h.sent.Store(1000)
	h.serves.Store(false)
	h.touch("", "k0")
	h.touch("", "other")
	until(t, "it has looked for a while", func() bool { return h.looked.Load() > 10 })
	if s := h.Stats(); s.Spent != 0 || s.Waiting != 2 {
		t.Errorf("%+v", s)
	}
	h.serves.Store(true)
	until(t, "nothing waits", h.idle)
	if s := h.Stats(); s.Hydrated != 1 {
		t.Errorf("%+v", s)
	}
}

// A key that is being written is read again, later.
func TestHydrateAWrittenKey(t *testing.T) {
	t.Parallel()
	h := newHydration(t, 1, 0)
	h.many(2)
	h.sent.Store(1000)
	h.target.what["k0"] = mirror.Newer
	h.target.after = func(loads int) {
		if loads == 2 {
			delete(h.target.what, "k0")
		}
	}
	h.touch("", "k0")
	until(t, "nothing waits", h.idle)
	if s := h.Stats(); s.Hydrated != 1 || s.Spent != 6 {
		t.Errorf("%+v", s)
	}
}

func TestHydrateAPrimaryThatIsGone(t *testing.T) {
	t.Parallel()
	h := newHydration(t, 1, 0)
	h.many(1)
	h.sent.Store(1000)
	err := errors.New("no way")
	h.fails.Store(&err)
	h.touch("", "k0")
	until(t, "it has tried", func() bool { return h.tried.Load() > 0 })
	h.fails.Store(nil)
	until(t, "nothing waits", h.idle)
	if s := h.Stats(); s.Hydrated != 1 {
		t.Errorf("%+v", s)
	}
}

// A complete local knows what is not there without asking.
func TestHydrateACompleteLocal(t *testing.T) {
	t.Parallel()
	h := newHydration(t, 1, 0)
	h.many(2)
	h.sync(mirror.SyncOptions{})
	h.check(h.local.Del(h.ctx, "k0", "k1").Err())
	h.check(h.copier.Local.SAdd(h.ctx, h.target.UnsureKey(), "|k1").Err())
	h.sent.Store(1000)
	for _, key := range []string{"k0", "k1", "nowhere"} {
		h.touch("", key)
	}
	until(t, "nothing waits", h.idle)
	if s := h.Stats(); s.Hydrated != 1 || s.Spent != 2 || h.local.Exists(h.ctx, "k1").Val() != 1 {
		t.Errorf("%+v", s)
	}
}

// TestTouch: where there is no room a touch costs nothing, and nothing is kept of it.
func TestTouch(t *testing.T) {
	t.Parallel()
	h := newHydration(t, 0, 10)
	for i := range 20 {
		h.Touch("", fmt.Sprint("k", i))
	}
	if s := h.Stats(); s.Waiting > 10 || s.Waiting == 0 || s.Dropped != 20-s.Waiting {
		t.Errorf("%+v", s)
	}
	for h.Stats().Waiting < 10 {
		h.Touch("", strings.Repeat("x", int(h.Stats().Waiting)+1))
	}
}

func BenchmarkTouch(b *testing.B) {
	for _, full := range []bool{false, true} {
		b.Run(fmt.Sprint("full ", full), func(b *testing.B) {
			h := mirror.NewHydrator(mirror.HydrateConfig{Copier: &mirror.Copier{}, Keys: 1000})
			for i := range 1000 {
				if full || i < 500 {
					h.Touch("", fmt.Sprint("k", i))
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				h.Touch("", "k7")
			}
		})
	}
}
