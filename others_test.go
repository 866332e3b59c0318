package fallback_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// between is a pair with a hook of somebody else's before ours and one after it.
func between(t *testing.T, before, after func(next redis.ProcessHook, ctx context.Context, cmd redis.Cmder) error) *pair {
	t.Helper()
	p := newPair(t)
	p.rdb = redis.NewClient(p.primary.Options())
	t.Cleanup(func() { _ = p.rdb.Close() })
	if before != nil {
		p.rdb.AddHook(around(before))
	}
	p.rdb.AddHook(p.h)
	if after != nil {
		p.rdb.AddHook(around(after))
	}
	return p
}

var errPolicy = errors.New("not allowed here")

// A hook before ours that does not go on keeps the command from both servers.
func TestHookBeforeOursMayEndACall(t *testing.T) {
	t.Parallel()
	p := between(t, func(redis.ProcessHook, context.Context, redis.Cmder) error { return errPolicy }, nil)
	for _, b := range []fallback.Backend{fallback.Primary, fallback.Local} {
		if err := p.h.Pin(b); err != nil {
			t.Fatal(err)
		}
		if err := p.rdb.Incr(ctx, "n").Err(); err != errPolicy || p.primary.Commands()+p.local.Count("INCR") != 0 { //nolint:errorlint // untouched
			t.Errorf("%v serves: %v; %d commands, %d INCR on local", b, err, p.primary.Commands(), p.local.Count("INCR"))
		}
	}
}

// A hook before ours sees one call with its outcome, may read the command's error, and may change it.
func TestHookBeforeOursSeesTheOutcome(t *testing.T) {
	t.Parallel()
	var calls int
	var outcome error
	p := between(t, func(next redis.ProcessHook, ctx context.Context, cmd redis.Cmder) error {
		calls++
		outcome = next(ctx, cmd)
		cmd.SetErr(outcome)
		if cmd.Err() == redis.Nil { //nolint:errorlint // as go-redis returns it
			return errPolicy
		}
		return outcome
	}, nil)
	p.primary.Exhaust()
	if err := p.rdb.Get(ctx, "k").Err(); err != errPolicy || calls != 1 || outcome != redis.Nil { //nolint:errorlint // untouched
		t.Errorf("%v after %d calls; it saw %v", err, calls, outcome)
	}
	p.serves(t, fallback.Local)
	if n, err := p.rdb.Incr(ctx, "n").Result(); err != nil || n != 1 || calls != 2 || outcome != nil {
		t.Errorf("%d, %v after %d calls; it saw %v", n, err, calls, outcome)
	}
}

// A hook after ours that does not go on is the primary, for us: its answer is one, its error is given
// to the caller and held against nobody. While local serves it is not asked.
func TestHookAfterOursMayEndACall(t *testing.T) {
	t.Parallel()
	var answer error
	p := between(t, nil, func(redis.ProcessHook, context.Context, redis.Cmder) error { return answer })
	for range 10 {
		if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
			t.Error(err)
		}
		answer = errPolicy
		if err := p.rdb.Incr(ctx, "n").Err(); err != errPolicy { //nolint:errorlint // untouched
			t.Error(err)
		}
		answer = nil
	}
	if st := p.h.Status(); p.primary.Commands()+p.local.Count("INCR") != 0 || st.Primary.Failed != 0 || st.Serving != fallback.Primary {
		t.Errorf("%+v", st)
	}
	p.h.Pin(fallback.Local)
	answer = errPolicy
	if n, err := p.rdb.Incr(ctx, "n").Result(); err != nil || n != 1 {
		t.Errorf("while local serves: %d, %v", n, err)
	}
}

// A hook after ours may read the command's error once next has returned, and its own words for a
// refusal are understood where they carry the server's.
func TestHookAfterOursMayWrapARefusal(t *testing.T) {
	t.Parallel()
	p := between(t, nil, func(next redis.ProcessHook, ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		cmd.SetErr(err)
		if err = cmd.Err(); err != nil {
			return errors.Join(errPolicy, err)
		}
		return nil
	})
	p.primary.Exhaust()
	for _, want := range []int64{1, 2} {
		if n, err := p.rdb.Incr(ctx, "n").Result(); err != nil || n != want {
			t.Errorf("%d, %v, want %d", n, err, want)
		}
	}
	p.serves(t, fallback.Local)
}

// A hook after ours that sends a copy of the command makes its own rules of how often: what was lost is
// not sent again by us.
func TestHookAfterOursMaySendACopy(t *testing.T) {
	t.Parallel()
	p := between(t, nil, func(next redis.ProcessHook, ctx context.Context, cmd redis.Cmder) error {
		twin := cmd.Clone()
		one := &counted{Cmder: twin}
		err := next(ctx, one)
		return err
	})
	p.primary.LoseReply("INCR", 1)
	if err := p.rdb.Incr(ctx, "n").Err(); !errors.Is(err, io.EOF) || number(t, p.primary, "n") != 1 {
		t.Errorf("one lost INCR: %v; it ran %d times", err, number(t, p.primary, "n"))
	}
}

// The same hook on both clients, and ours twice, is one switch.
func TestOursTwiceRunsOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.AddHook(p.h)
	p.primary.Quota(1)
	for _, want := range []int64{1, 1, 2} {
		if n, err := p.rdb.Incr(ctx, "n").Result(); err != nil || n != want {
			t.Errorf("%d, %v, want %d", n, err, want)
		}
	}
	if st := p.h.Status(); number(t, p.primary, "n") != 1 || number(t, p.local, "n") != 2 || st.Trips != 1 {
		t.Errorf("%+v", st)
	}
}

// What must not run twice is sent in a wrapper, which keeps go-redis from repeating it. Reads are not.
func TestHookAfterOursMeetsAWrapper(t *testing.T) {
	t.Parallel()
	types := map[string]bool{}
	p := between(t, nil, func(next redis.ProcessHook, ctx context.Context, cmd redis.Cmder) error {
		switch cmd.(type) {
		case *redis.IntCmd, *redis.StringCmd:
			types[cmd.Name()] = true
		default:
			types[cmd.Name()] = false
		}
		return next(ctx, cmd)
	})
	p.rdb.Incr(ctx, "n")
	p.rdb.Get(ctx, "n")
	if bare, seen := types["incr"]; bare || !seen || !types["get"] {
		t.Errorf("as they are: %v; tell docs/go-redis.md", types)
	}
}

// A hook that comes later has all closures built anew, and whose they are is not known before a
// connection is made through them. A look at a connection does not make a Conn of a client, all of whose
// commands would then wait for each other.
func TestHookAddedToAWarmClient(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	var warm sync.WaitGroup
	for range 3 {
		warm.Go(func() { p.rdb.BLPop(ctx, time.Second, "none") })
	}
	warm.Wait()
	p.rdb.AddHook(&builders{})
	p.rdb.Do(ctx, "CLIENT", "GETNAME")
	popped := make(chan error, 1)
	began := time.Now()
	go func() { popped <- p.rdb.BLPop(ctx, 3*time.Second, "list").Err() }()
	time.Sleep(50 * time.Millisecond)
	if err := p.rdb.LPush(ctx, "list", 1).Err(); err != nil {
		t.Error(err)
	}
	if err := <-popped; err != nil || time.Since(began) > 2*time.Second {
		t.Errorf("BLPOP beside LPUSH took %v: %v", time.Since(began), err)
	}
}
