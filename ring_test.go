package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

func newRing(t *testing.T, shards ...*fallbacktest.Server) *redis.Ring {
	t.Helper()
	addrs := map[string]string{}
	for i, s := range shards {
		addrs[fmt.Sprint("shard", i)] = s.Addr()
	}
	ring := redis.NewRing(&redis.RingOptions{Addrs: addrs})
	t.Cleanup(func() { _ = ring.Close() })
	return ring
}

// A Ring as primary gets a sentence at every call, and nothing is sent.
func TestRingAsPrimaryIsRefused(t *testing.T) {
	t.Parallel()
	shards := []*fallbacktest.Server{fallbacktest.Run(t), fallbacktest.Run(t)}
	local := fallbacktest.Run(t)
	for _, c := range []struct {
		name string
		add  func(*redis.Ring, *fallback.Hook)
	}{
		{"alone", func(ring *redis.Ring, h *fallback.Hook) { ring.AddHook(h) }},
		{"with hooks around it", func(ring *redis.Ring, h *fallback.Hook) {
			ring.AddHook(&passing{})
			ring.AddHook(h)
			ring.AddHook(&passing{})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ring := newRing(t, shards...)
			h := fallback.New(bareClient(t, local, nil), fallback.WithLogger((&lines{}).logger()))
			defer h.Shutdown(ctx)
			c.add(ring, h)
			calls := map[string]func() error{
				"GET":  func() error { return ring.Get(ctx, "k").Err() },
				"INCR": func() error { return ring.Incr(ctx, "n").Err() },
				"Do":   func() error { return ring.Do(ctx, "watch", "k").Err() },
				"a pipeline": func() error {
					cmds, err := ring.Pipelined(ctx, func(pipe redis.Pipeliner) error {
						pipe.Incr(ctx, "a")
						pipe.Incr(ctx, "b")
						return nil
					})
					if !errors.Is(cmds[1].Err(), fallback.ErrRing) {
						t.Errorf("a command of a pipeline: %v, want ErrRing", cmds[1].Err())
					}
					return err
				},
				"a transaction": func() error {
					_, err := ring.TxPipelined(ctx, func(pipe redis.Pipeliner) error { return pipe.Incr(ctx, "a").Err() })
					return err
				},
			}
			var wg sync.WaitGroup
			for range 8 {
				for name, call := range calls {
					wg.Go(func() {
						if err := call(); !errors.Is(err, fallback.ErrRing) {
							t.Errorf("%s on a Ring: %v, want ErrRing", name, err)
						}
					})
				}
			}
			wg.Wait()
			if st := h.Status(); st.Trips != 0 || st.Primary.Failed != 0 || st.Serving != fallback.Primary {
				t.Errorf("status %+v", st)
			}
		})
	}
	for i, s := range append(shards, local) {
		if n := s.Commands(); n != 0 {
			t.Errorf("server %d executed %d commands", i, n)
		}
	}
}

// A Ring that has no shard to ask yet is no other client.
func TestRingWithoutShardsIsRefused(t *testing.T) {
	t.Parallel()
	shard := fallbacktest.Run(t)
	shard.Stop()
	ring := newRing(t, shard)
	eventually(t, "the ring to miss its shard", func() bool { return len(ring.GetShardClients()) == 0 })
	h := fallback.New(bareClient(t, fallbacktest.Run(t), nil), fallback.WithLogger((&lines{}).logger()))
	defer h.Shutdown(ctx)
	ring.AddHook(h)
	if err := ring.Incr(ctx, "n").Err(); err == nil || h.Serving() != fallback.Primary {
		t.Errorf("INCR without shards: %v, %v serves", err, h.Serving())
	}
	if err := shard.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ring to be known", func() bool { return errors.Is(ring.Incr(ctx, "n").Err(), fallback.ErrRing) })
	if n := shard.Commands(); n != 0 {
		t.Errorf("the shard executed %d commands", n)
	}
}

// The look at the kind of a client costs a plain client nothing that a server sees, and is made once.
func TestKindIsFoundOutOnce(t *testing.T) {
	t.Parallel()
	p := fallbacktest.Run(t)
	rdb := bareClient(t, p, nil)
	h := fallback.New(bareClient(t, fallbacktest.Run(t), nil), fallback.WithLogger((&lines{}).logger()))
	defer h.Shutdown(ctx)
	rdb.AddHook(h)
	inner := &passing{}
	rdb.AddHook(inner)
	for range 3 {
		if err := rdb.Get(ctx, "k").Err(); err != redis.Nil { //nolint:errorlint // as it comes
			t.Fatal(err)
		}
	}
	if _, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error { return pipe.Incr(ctx, "n").Err() }); err != nil {
		t.Fatal(err)
	}
	if n := p.Commands(); n != 4 {
		t.Errorf("the server executed %d commands, want 4", n)
	}
	if st := h.Status(); st.Primary.Answered != 4 || st.Primary.Failed != 0 {
		t.Errorf("status %+v", st)
	}
	if n := inner.batches.Load(); n > 1+1 {
		t.Errorf("a hook below saw %d batches, want the pipeline and at most one more", n)
	}
}

// passing is a hook that passes everything on.
type passing struct{ batches atomic.Int64 }

func (*passing) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*passing) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (p *passing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() != "client" { // the set-up of a connection
			p.batches.Add(1)
		}
		return next(ctx, cmds)
	}
}

// As local a Ring does what a bare Ring does.
func TestRingAsLocal(t *testing.T) {
	t.Parallel()
	shards := []*fallbacktest.Server{fallbacktest.Run(t), fallbacktest.Run(t)}
	ring := newRing(t, shards...)
	primary := fallbacktest.Run(t)
	rdb := bareClient(t, primary, nil)
	h := fallback.New(ring, fallback.WithLogger((&lines{}).logger()), quick())
	defer h.Shutdown(ctx)
	rdb.AddHook(h)
	primary.Exhaust()
	if n, err := rdb.Incr(ctx, "n").Result(); n != 1 || err != nil {
		t.Fatalf("the INCR that trips: %d, %v", n, err)
	}
	keys := keysApart()
	for _, want := range []string{"1", "2"} {
		if _, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, key := range keys {
				pipe.Incr(ctx, key)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if v, err := ring.Get(ctx, key).Result(); v != want || err != nil {
				t.Errorf("%s is %q, %v; want %s", key, v, err, want)
			}
		}
	}
	cmds, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "{t}a")
		pipe.Incr(ctx, "{t}b")
		return nil
	})
	if err != nil || cmds[1].(*redis.IntCmd).Val() != 1 {
		t.Errorf("a transaction: %v", err)
	}
	if shards[0].Commands() == 0 || shards[1].Commands() == 0 || h.Status().Local.Dials == 0 {
		t.Errorf("the shards executed %d and %d commands; status %+v", shards[0].Commands(), shards[1].Commands(), h.Status())
	}
	if err := add(rdb, "w", nil); err == nil || errors.Is(err, redis.TxFailedErr) {
		t.Errorf("a Watch while a Ring serves: %v, want a sentence", err)
	}
	primary.Renew()
	ps := rdb.Subscribe(ctx, "c") // stays on the primary
	defer ps.Close()
	confirmed(t, ps)
	publish(t, primary, "c", "1")
	if heard(t, ps.Channel()) != "1" {
		t.Error("not heard on the primary")
	}
	eventually(t, "the return", func() bool { return h.Serving() == fallback.Primary })
}
