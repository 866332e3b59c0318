package fallback_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

var errOver = errors.New("over")

// over is a context that ends with an error of its own.
type over struct{ context.Context }

func (over) Done() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
func (over) Err() error { return errOver }

func around(f func(next redis.ProcessHook, ctx context.Context, cmd redis.Cmder) error) *builders {
	return &builders{one: func(next redis.ProcessHook) redis.ProcessHook {
		return func(ctx context.Context, cmd redis.Cmder) error {
			if cmd.Name() == "hello" {
				return next(ctx, cmd)
			}
			return f(next, ctx, cmd)
		}
	}}
}

func TestGoRedisFullDuplexWritesBesideItsHooks(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, nil)
	rdb.AddHook(around(func(redis.ProcessHook, context.Context, redis.Cmder) error { return nil }))
	for face, ap := range faces(t, rdb, true) {
		if _ = ap.Set(ctx, face, "x", 0).Err(); get(t, s, face) != "x" {
			t.Errorf("%s: full duplex waits for its hooks now: beside.go is not needed any more", face)
		}
	}
}

// This is how the hook tells full duplex from all else that has a hook built for one call.
func TestGoRedisFullDuplexListensToNothing(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, nil)
	rdb.AddHook(around(func(next redis.ProcessHook, ctx context.Context, cmd redis.Cmder) error {
		one := &counted{Cmder: cmd}
		err := next(over{ctx}, one)
		if errors.Is(err, errOver) || one.asked.Load() != 0 {
			t.Errorf("full duplex listens to the context (%v), or asks for the arguments (%d times), inside its hooks now", err, one.asked.Load())
		}
		cmd.SetErr(nil)
		if again := next(over{ctx}, one); again != nil {
			t.Errorf("full duplex no longer returns the error that the command carries, at once, when it is asked again: %v", again)
		}
		return err
	}))
	for face, ap := range faces(t, rdb, true) {
		if err := ap.LPush(ctx, face, "x").Err(); err != nil {
			t.Error(err)
		}
		if err := ap.Incr(ctx, face).Err(); !redis.HasErrorPrefix(err, "WRONGTYPE") {
			t.Errorf("%s: %v", face, err)
		}
	}
}

func TestGoRedisSingleCallsListenToTheContext(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, nil)
	for _, full := range []bool{false, true} {
		rdb := rdb
		if full {
			rdb = bareClient(t, s, nil)
		}
		rdb.AddHook(around(func(next redis.ProcessHook, ctx context.Context, cmd redis.Cmder) error {
			one := &counted{Cmder: cmd}
			if err := next(over{ctx}, one); !errors.Is(err, errOver) || one.asked.Load() != 0 {
				t.Errorf("%s: a call of its own is written, %d times, with a context that is over: %v", cmd.Name(), one.asked.Load(), err)
			}
			return nil
		}))
		ap := faces(t, rdb, full)["async"]
		ap.Do(ctx, "set", "k", "x").Err()
		ap.DoRaw(ctx, "set", "k", "x").Err()
		ap.BLPop(ctx, 1e9, "l").Err()
		if !full {
			ap.Set(ctx, "k", "x", 0).Err() // alone in its batch
		}
	}
	if n := s.Count("SET") + s.Count("BLPOP"); n != 0 {
		t.Errorf("%d commands were sent", n)
	}
}

func TestGoRedisFullDuplexRepeatsOnItsOwn(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	for face, ap := range faces(t, bareClient(t, s, nil), true) {
		s.LoseReply("INCR", 1)
		if err := ap.Incr(ctx, face).Err(); err != nil || number(t, s, face) != 2 {
			t.Errorf("%s: full duplex no longer repeats what was lost: onStream is not needed (%v, %d)", face, err, number(t, s, face))
		}
	}
}

func TestGoRedisFDPipelinedTakesNothingThatMustNotBeRepeated(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	for face, ap := range faces(t, bareClient(t, s, nil), true) {
		first := redis.NewIntCmd(ctx, "incr", face)
		err := ap.FDPipelined(ctx, []redis.Cmder{first, &counted{Cmder: redis.NewIntCmd(ctx, "incr", face)}})
		if !errors.Is(err, redis.ErrFDPipelineDiverts) || first.Err() != nil || number(t, s, face) != 0 {
			t.Errorf("%s: FDPipelined no longer refuses a command with NoRetry before it sends anything: %v, %v, %d",
				face, err, first.Err(), number(t, s, face))
		}
	}
}
