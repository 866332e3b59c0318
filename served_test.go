package fallback_test

import (
	"context"
	"sync"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// A context tells who has answered what was called with it: single commands, pipelines, transactions, and
// those of a Watch.
func TestWhoServed(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for _, c := range []struct {
		name string
		n    int64
		do   func(context.Context) error
	}{
		{"a read", 1, func(ctx context.Context) error { return p.rdb.Exists(ctx, "k").Err() }},
		{"a write", 1, func(ctx context.Context) error { return p.rdb.Incr(ctx, "n").Err() }},
		{"two reads", 2, func(ctx context.Context) error {
			_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error { pipe.Exists(ctx, "a"); return pipe.Exists(ctx, "b").Err() })
			return err
		}},
		{"two writes", 2, func(ctx context.Context) error {
			_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error { pipe.Incr(ctx, "a"); return pipe.Incr(ctx, "b").Err() })
			return err
		}},
		{"a transaction", 2, func(ctx context.Context) error {
			_, err := p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error { pipe.Incr(ctx, "a"); return pipe.Incr(ctx, "b").Err() })
			return err
		}},
		{"a Watch, its read, its transaction", 3, func(ctx context.Context) error {
			return p.rdb.Watch(ctx, func(tx *redis.Tx) error {
				tx.Exists(ctx, "n")
				_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error { return pipe.Incr(ctx, "n").Err() })
				return err
			}, "n")
		}},
		{"an error reply", 1, func(ctx context.Context) error { _ = p.rdb.LPush(ctx, "n", 1).Err(); return nil }},
	} {
		for _, b := range []fallback.Backend{fallback.Primary, fallback.Local} {
			if err := p.h.Pin(b); err != nil {
				t.Fatal(err)
			}
			ctx, served := fallback.WithServedBy(ctx)
			if err := c.do(ctx); err != nil {
				t.Fatalf("%s on %v: %v", c.name, b, err)
			}
			want := c.n
			if b == fallback.Primary {
				want = 0
			}
			if served.By() != b || served.Local() != want || fallback.ServedBy(ctx) != served {
				t.Errorf("%s on %v: %v, and %d commands by local, want %d", c.name, b, served.By(), served.Local(), want)
			}
		}
	}
}

// What neither server answers, and what is kept off local, local has not answered.
func TestNobodyServed(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.h.Pin(fallback.Local)
	ctx, served := fallback.WithServedBy(ctx)
	_ = p.rdb.Get(fallback.PrimaryOnly(ctx), "k").Err()
	p.local.Stop()
	_ = p.rdb.Incr(ctx, "n").Err()
	_, _ = p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error { pipe.Exists(ctx, "a"); return pipe.Exists(ctx, "b").Err() })
	if served.Local() != 0 {
		t.Errorf("%d commands by a local that is gone", served.Local())
	}
	var none *fallback.Served
	if none.By() != fallback.Primary || none.Local() != 0 || fallback.ServedBy(context.Background()) != nil {
		t.Error("a context that nobody has prepared")
	}
}

// One context may be used by many goroutines, and one within another counts for both.
func TestWhoServedAtTheSameTime(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.h.Pin(fallback.Local)
	request, all := fallback.WithServedBy(ctx)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ctx, part := fallback.WithServedBy(request)
			for range 10 {
				p.rdb.Exists(ctx, "k")
				all.By()
			}
			if part.Local() != 10 {
				t.Errorf("%d commands of one part", part.Local())
			}
		})
	}
	wg.Wait()
	if all.Local() != 80 {
		t.Errorf("%d commands of the request, want 80", all.Local())
	}
}
