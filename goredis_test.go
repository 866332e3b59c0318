package fallback_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// What the hook relies on in go-redis and go-redis does not promise, one test each. One that fails
// after an upgrade names what has changed.

// builders records the order in which go-redis calls a hook's builders.
func TestGoRedisBuildsHooksInOrder(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, nil)
	b := &builders{}
	const set = "dial process pipeline pipeline"
	rdb.AddHook(b)
	if got := b.take(); got != set {
		t.Errorf("go-redis no longer builds hooks at AddHook in the order that links them: %s, want %s", got, set)
	}
	if err := rdb.Ping(ctx).Err(); err != nil { // all of these builders return nil
		t.Errorf("go-redis no longer ignores a builder that returns nil: %v", err)
	}
	if got := b.take(); got != set {
		t.Errorf("go-redis no longer builds one set of hooks for each new connection: %s", got)
	}
	_ = rdb.Conn().Close()
	if got := b.take(); got != set {
		t.Errorf("go-redis no longer builds one set of hooks for each Conn: %s", got)
	}
	_ = rdb.Watch(ctx, func(*redis.Tx) error { return nil })
	if got := b.take(); got != set {
		t.Errorf("go-redis no longer builds one set of hooks for each Watch: %s", got)
	}
}

func TestGoRedisSetsUpConnectionsThroughHooks(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, nil)
	var names []string
	b := &builders{one: func(next redis.ProcessHook) redis.ProcessHook {
		return func(ctx context.Context, cmd redis.Cmder) error {
			names = append(names, cmd.Name())
			return next(ctx, cmd)
		}
	}}
	rdb.AddHook(b)
	rdb.Get(ctx, "k")
	if strings.Join(names, " ") != "get hello" {
		t.Errorf("go-redis no longer sends HELLO first through the hooks of a new connection: %v", names)
	}
}

// counted counts attempts, by when a command is asked for its arguments.
func TestGoRedisAsksForArgumentsWhenItWrites(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, nil)
	for _, c := range []struct {
		retry bool
		want  int64
	}{{false, 1}, {true, 4}} {
		s.LoseReply("INCR", 100)
		cmd := &counted{Cmder: redis.NewIntCmd(ctx, "incr", "n"), retry: c.retry}
		if err := rdb.Process(ctx, cmd); !errors.Is(err, io.EOF) {
			t.Errorf("a lost reply is no longer io.EOF: %v", err)
		}
		if n := cmd.asked.Load(); n != c.want {
			t.Errorf("go-redis no longer asks a command for its arguments once for each attempt, or no longer heeds NoRetry: "+
				"%d times with NoRetry %v, want %d", n, !c.retry, c.want)
		}
	}
	one := &counted{Cmder: redis.NewIntCmd(ctx, "incr", "n")}
	pipe := rdb.Pipeline()
	_ = pipe.Process(ctx, one)
	pipe.Incr(ctx, "m")
	_, _ = pipe.Exec(ctx)
	if n := one.asked.Load(); n != 1 {
		t.Errorf("one command with NoRetry no longer keeps go-redis from repeating its pipeline: %d attempts", n)
	}
	s.Stop()
	unsent := &counted{Cmder: redis.NewIntCmd(ctx, "incr", "n")}
	_ = rdb.Process(ctx, unsent)
	if n := unsent.asked.Load(); n != 0 {
		t.Errorf("go-redis asks for the arguments of a command that it cannot send: %d times", n)
	}
}

func TestGoRedisRepeatsByTheError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want int64
		what string
	}{
		{errors.New("of nobody's"), 1, "go-redis no longer gives up at once on an error that it does not know"},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, 20, "go-redis no longer dials 5 times in each of 4 attempts"},
	} {
		s := fallbacktest.Run(t)
		rdb := bareClient(t, s, nil)
		var dials atomic.Int64
		rdb.AddHook(&builders{dial: func(next redis.DialHook) redis.DialHook {
			return func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials.Add(1)
				if c.want > 1 {
					return nil, c.err
				}
				conn, err := next(ctx, network, addr)
				return failing{conn, c.err}, err
			}
		}})
		err := rdb.Get(ctx, "k").Err()
		if !errors.Is(err, c.err) || dials.Load() != c.want {
			t.Errorf("%s: %d dials, want %d; error %v", c.what, dials.Load(), c.want, err)
		}
	}
}

func TestGoRedisTakesAnotherConnectionAfterEOF(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, nil)
	var first atomic.Bool
	rdb.AddHook(&builders{dial: func(next redis.DialHook) redis.DialHook {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := next(ctx, network, addr)
			if !first.Swap(true) {
				return failing{conn, io.EOF}, err
			}
			return conn, err
		}
	}})
	if err := rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Errorf("go-redis no longer repeats a command whose write ended with io.EOF: %v", err)
	}
}

func TestGoRedisLooksAtIdleSocketsThroughSyscallConn(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, func(o *redis.Options) { o.MaxRetries = -1 })
	var asked atomic.Int64
	rdb.AddHook(&builders{dial: func(next redis.DialHook) redis.DialHook {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := next(ctx, network, addr)
			return spied{conn, &asked}, err
		}
	}})
	rdb.Ping(ctx)
	if rdb.Ping(ctx); asked.Load() == 0 {
		t.Error("go-redis' pool no longer looks at an idle connection through its SyscallConn")
	}
}

func TestGoRedisShapesTransactions(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, nil)
	spy := &txSpy{}
	rdb.AddHook(spy)
	_, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(spy.types, " "); got != "*redis.StatusCmd multi *redis.IntCmd incr *redis.SliceCmd exec" {
		t.Errorf("go-redis no longer frames a transaction as the hook expects: %s", got)
	}
	if !strings.HasPrefix(spy.wrote(), "*1\r\n$5\r\nmulti\r\n") {
		t.Errorf("go-redis no longer writes MULTI, in lower case, at the start of a transaction: %q", spy.wrote())
	}
}

func TestGoRedisGivesARefusedHandshakeAsItCame(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t, fallbacktest.WithPassword("pw"))
	s.Exhaust()
	s.RefuseHandshake(true)
	err := bareClient(t, s, nil).Get(ctx, "k").Err()
	if err == nil || err.Error() != fallbacktest.ReplyRequests {
		t.Errorf("go-redis no longer gives the refusal of a connection's set-up to the command that wanted it: %v", err)
	}
}

func TestGoRedisHidesErrorsOfRawCommands(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, nil)
	s.Exhaust()
	raw := redis.NewRawCmd(ctx, "get", "k")
	if err := rdb.Process(ctx, raw); err != nil || !strings.HasPrefix(string(raw.Val()), "-ERR max") {
		t.Errorf("go-redis no longer gives an error reply to a raw command as its value: %q, %v", raw.Val(), err)
	}
}

// The README says so; where it changes, the README can be shorter.
func TestGoRedisLosesHooksInWithTimeout(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, nil)
	b := &builders{one: func(redis.ProcessHook) redis.ProcessHook {
		return func(context.Context, redis.Cmder) error { return errors.New("hooked") }
	}}
	rdb.AddHook(b)
	if err := rdb.WithTimeout(1e9).Ping(ctx).Err(); err != nil {
		t.Errorf("WithTimeout keeps its client's hooks again (%v): tell the README", err)
	}
}

// The first error of all of a pipeline is the pipeline's, whatever single replies had been read.
func TestGoRedisReturnsThePipelinesOwnError(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	rdb := bareClient(t, s, func(o *redis.Options) { o.MaxRetries = -1 })
	s.LoseReply("INCR", 1)
	cmds, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Get(ctx, "nosuch")
		pipe.Set(ctx, "k", 1, 0)
		pipe.Incr(ctx, "n")
		return nil
	})
	if !errors.Is(err, io.EOF) || cmds[0].Err() != redis.Nil || !errors.Is(cmds[1].Err(), io.EOF) { //nolint:errorlint // as it comes
		t.Errorf("go-redis no longer stamps a lost pipeline on all commands without an error of their own: %v; %v, %v",
			err, cmds[0].Err(), cmds[1].Err())
	}
}
