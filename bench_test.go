package fallback_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// The hook alone, over a next that does nothing: what it adds to every command.

func stub(b *testing.B) (bare, hooked redis.ProcessHook) {
	b.Helper()
	return stubTo(b, "127.0.0.1:1")
}

// stubTo is stub with a local that may be there.
func stubTo(tb testing.TB, addr string, opts ...fallback.Option) (bare, hooked redis.ProcessHook) {
	tb.Helper()
	local := redis.NewClient(&redis.Options{Addr: addr})
	h := fallback.New(local, opts...)
	tb.Cleanup(func() {
		_ = h.Shutdown(ctx)
		_ = local.Close()
	})
	bare = func(_ context.Context, cmd redis.Cmder) error {
		if cmd.NoRetry() {
			_ = cmd.Args()
		}
		return nil
	}
	h.DialHook(nil)
	hooked = h.ProcessHook(bare)
	h.ProcessPipelineHook(nil)
	h.ProcessPipelineHook(nil)
	return bare, hooked
}

func BenchmarkStub(b *testing.B) {
	get := redis.NewStringCmd(ctx, "get", "k")
	incr := redis.NewIntCmd(ctx, "incr", "k")
	set := redis.NewStatusCmd(ctx, "set", "k", "v")
	bare, hooked := stub(b)
	for _, c := range []struct {
		name string
		hook redis.ProcessHook
		cmd  redis.Cmder
	}{
		{"GET/bare", bare, get},
		{"GET/hook", hooked, get},
		{"SET/bare", bare, set},
		{"SET/hook", hooked, set},
		{"INCR/bare", bare, incr},
		{"INCR/hook", hooked, incr},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.hook(ctx, c.cmd); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStub64(b *testing.B) {
	bare, hooked := stub(b)
	for _, c := range []struct {
		name string
		hook redis.ProcessHook
	}{{"GET/bare", bare}, {"GET/hook", hooked}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32) // times 2 processors
			b.RunParallel(func(pb *testing.PB) {
				get := redis.NewStringCmd(ctx, "get", "k")
				for pb.Next() {
					if err := c.hook(ctx, get); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkStubPipeline100(b *testing.B) {
	bare := func(context.Context, []redis.Cmder) error { return nil }
	local := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	h := fallback.New(local)
	b.Cleanup(func() { _ = local.Close() })
	dial := h.DialHook(func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no server") })
	h.ProcessHook(nil)
	hooked := h.ProcessPipelineHook(bare)
	h.ProcessPipelineHook(bare)
	_, _ = dial(ctx, "tcp", "127.0.0.1:1") // as every client but a cluster's does
	for _, name := range []string{"set", "incr"} {
		var cmds []redis.Cmder
		for range 100 {
			if name == "set" {
				cmds = append(cmds, redis.NewStatusCmd(ctx, "set", "k", "v"))
			} else {
				cmds = append(cmds, redis.NewIntCmd(ctx, "incr", "k"))
			}
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := hooked(ctx, cmds); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoopbackLocal(b *testing.B) {
	srv := redistest.Start(b)
	bare, local := srv.Client(b), srv.Client(b)
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	h := fallback.New(local)
	rdb.AddHook(h)
	h.Pin(fallback.Local)
	b.Cleanup(func() {
		_ = h.Shutdown(ctx)
		_ = rdb.Close()
	})
	for _, c := range []struct {
		name   string
		client *redis.Client
	}{{"bare", bare}, {"hook", rdb}} {
		b.Run("GET/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.client.Get(ctx, "k").Err(); err != redis.Nil { //nolint:errorlint // as it comes
					b.Fatal(err)
				}
			}
		})
	}
}
