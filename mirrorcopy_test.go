package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// copying is a hook between a primary with a quota and a real local.
type copying struct {
	primary *fallbacktest.Server
	local   *redis.Client
	rdb     *redis.Client
	h       *fallback.Hook
}

func newCopying(t *testing.T, keys int, opts ...fallback.Option) *copying {
	t.Helper()
	l := redistest.Start(t)
	c := &copying{primary: fallbacktest.Run(t), local: l.Client(t)}
	for i := range keys {
		if err := c.primary.Data().Set(fmt.Sprint("k", i), "v"); err != nil {
			t.Fatal(err)
		}
	}
	c.h = fallback.New(l.Client(t), append([]fallback.Option{fallback.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	c.rdb = redis.NewClient(c.primary.Options())
	c.rdb.AddHook(c.h)
	t.Cleanup(func() {
		_ = c.h.Shutdown(context.Background())
		_ = c.rdb.Close()
	})
	if err := c.rdb.Ping(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSyncThenVerify(t *testing.T) {
	t.Parallel()
	c := newCopying(t, 1000)
	ctx := context.Background()
	var first *fallback.SyncProgress
	r, err := c.h.Sync(ctx, fallback.SyncOptions{Progress: func(p fallback.SyncProgress) {
		if first == nil {
			first = &p
		}
	}})
	if err != nil || r.Copied != 1000 || !r.Complete || first == nil || first.Keys != 1000 || first.Cost < 2000 {
		t.Fatalf("%+v, %v", r, err)
	}
	if n := c.local.DBSize(ctx).Val(); n != 1000 {
		t.Errorf("%d keys on local", n)
	}
	if err := c.local.Set(ctx, "k1", "other", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, repair := range []bool{false, true, false} {
		var diffs []fallback.Difference
		v, err := c.h.Verify(ctx, fallback.VerifyOptions{Repair: repair, Each: func(d fallback.Difference) { diffs = append(diffs, d) }})
		if err != nil || v.Compared != 1000 {
			t.Fatalf("%+v, %v", v, err)
		}
		if want := c.local.Get(ctx, "k1").Val() == "other" || repair; (len(diffs) == 1) != want {
			t.Errorf("repair %t: %+v", repair, diffs)
		}
	}
	// What was copied is what local answers.
	c.primary.Exhaust()
	if v, err := c.rdb.Get(ctx, "k7").Result(); v != "v" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if _, err := c.h.Sync(ctx, fallback.SyncOptions{}); err == nil {
		t.Error("it copied from a primary that does not serve")
	}
	c.primary.Renew()
	if _, err := c.h.Sync(ctx, fallback.SyncOptions{}); !errors.Is(err, fallback.ErrLocalServes) {
		t.Errorf("%v, want ErrLocalServes", err)
	}
}

func TestSyncIsToldOfTheLimit(t *testing.T) {
	t.Parallel()
	c := newCopying(t, 3000)
	c.primary.Quota(8000)
	r, err := c.h.Sync(context.Background(), fallback.SyncOptions{})
	limit, ok := errors.AsType[*fallback.LimitError](err)
	if !ok || limit.Kind != fallback.LimitRequests || r.Read == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	c.primary.Renew()
	r, err = c.h.Sync(context.Background(), fallback.SyncOptions{Budget: 100})
	if !errors.Is(err, fallback.ErrBudget) || !r.Resumed {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = c.h.Sync(context.Background(), fallback.SyncOptions{}); err != nil || !r.Complete || !r.Resumed {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestSyncWithoutAJournal(t *testing.T) {
	t.Parallel()
	c := newCopying(t, 1, fallback.WithJournal(fallback.JournalConfig{Database: -1}))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := c.h.Sync(ctx, fallback.SyncOptions{}); !errors.Is(err, fallback.ErrNoJournal) {
		t.Error(err)
	}
	if _, err := c.h.Verify(ctx, fallback.VerifyOptions{}); !errors.Is(err, fallback.ErrNoJournal) {
		t.Error(err)
	}
}
