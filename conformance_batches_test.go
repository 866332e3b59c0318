package fallback_test

import (
	"errors"
	"net"
	"reflect"
	"testing"

	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// batched is a call of a method that is no command.
func batched(f func(c redis.Cmdable) ([]redis.Cmder, error)) sample {
	return sample{batch: f, hand: true, shapes: []shape{single}}
}

// fill queues some commands, one of which fails and one of which finds nothing.
func fill(p redis.Pipeliner) error {
	p.Incr(ctx, "n")
	p.LPush(ctx, "s", 1)
	p.Get(ctx, "missing")
	p.LPop(ctx, "l")
	return nil
}

func fillAndFail(p redis.Pipeliner) error {
	p.Incr(ctx, "n")
	return errors.New("the caller's own")
}

func nothing(redis.Pipeliner) error { return nil }

func admin(p redis.Pipeliner) error {
	p.Incr(ctx, "n")
	p.ConfigSet(ctx, "slowlog-max-len", "128")
	p.Incr(ctx, "n")
	return nil
}

var batchCalls = map[string]sample{
	"Pipeline": batched(func(c redis.Cmdable) ([]redis.Cmder, error) {
		p := c.Pipeline()
		_ = fill(p)
		return p.Exec(ctx)
	}),
	"Pipeline discarded": batched(func(c redis.Cmdable) ([]redis.Cmder, error) {
		p := c.Pipeline()
		p.Incr(ctx, "n")
		p.Discard()
		_ = fill(p)
		return p.Exec(ctx)
	}),
	"Pipeline of a pipeline": batched(func(c redis.Cmdable) ([]redis.Cmder, error) {
		return c.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Incr(ctx, "n")
			_, err := p.Pipelined(ctx, fill)
			return err
		})
	}),
	"Pipelined":         batched(func(c redis.Cmdable) ([]redis.Cmder, error) { return c.Pipelined(ctx, fill) }),
	"Pipelined nothing": batched(func(c redis.Cmdable) ([]redis.Cmder, error) { return c.Pipelined(ctx, nothing) }),
	"Pipelined fails":   batched(func(c redis.Cmdable) ([]redis.Cmder, error) { return c.Pipelined(ctx, fillAndFail) }),
	"Pipelined staying": batched(func(c redis.Cmdable) ([]redis.Cmder, error) { return c.Pipelined(ctx, admin) }).staying(),
	"TxPipeline": batched(func(c redis.Cmdable) ([]redis.Cmder, error) {
		p := c.TxPipeline()
		_ = fill(p)
		return p.Exec(ctx)
	}),
	"TxPipelined":         batched(func(c redis.Cmdable) ([]redis.Cmder, error) { return c.TxPipelined(ctx, fill) }),
	"TxPipelined nothing": batched(func(c redis.Cmdable) ([]redis.Cmder, error) { return c.TxPipelined(ctx, nothing) }),
	"TxPipelined fails":   batched(func(c redis.Cmdable) ([]redis.Cmder, error) { return c.TxPipelined(ctx, fillAndFail) }),
	"TxPipelined staying": batched(func(c redis.Cmdable) ([]redis.Cmder, error) { return c.TxPipelined(ctx, admin) }).staying(),
	"TxPipelined aborted": batched(func(c redis.Cmdable) ([]redis.Cmder, error) {
		return c.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Incr(ctx, "n")
			p.Do(ctx, "get")
			return nil
		})
	}),
}

// TestConformanceShutdown ends real servers, each by one of the ways: the caller gets what a bare
// client gives, and local goes on.
func TestConformanceShutdown(t *testing.T) {
	t.Parallel()
	local := redistest.Start(t)
	for _, method := range []string{"Shutdown", "ShutdownNoSave", "ShutdownSave"} {
		var got [2]outcome
		for i := range got {
			o := redistest.Start(t).Options()
			o.MaxRetries = -1 // or go-redis hides the end of the server behind failed dials
			rdb := redis.NewClient(o)
			if i > 0 {
				h := quietHook(redis.NewClient(local.Options()))
				rdb.AddHook(h)
				defer h.Shutdown(ctx)
			}
			out := reflect.ValueOf(rdb).MethodByName(method).Call([]reflect.Value{reflect.ValueOf(ctx)})
			got[i] = outcomeOf(out[0].Interface().(redis.Cmder), nil)
			if conn, err := net.Dial("tcp", o.Addr); err == nil { //nolint:noctx // a test
				_ = conn.Close()
				t.Errorf("%s: the server still listens", method)
			}
			_ = rdb.Close()
		}
		if got[0].text != got[1].text {
			t.Errorf("%s: got %s, bare %s", method, got[1].text, got[0].text)
		}
	}
	if err := local.Client(t).Ping(ctx).Err(); err != nil {
		t.Errorf("local after the primary was shut down: %v", err)
	}
}
