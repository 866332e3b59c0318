package quota_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/crash/quota"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// start returns a client that sends each command once, by a proxy, and one of the server itself.
func start(t *testing.T) (p *quota.Proxy, rdb, direct *redis.Client) {
	t.Helper()
	s := redistest.Start(t)
	p, err := quota.Listen(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	o := s.Options()
	o.Addr, o.MaxRetries = p.Addr(), -1
	rdb = redis.NewClient(o)
	t.Cleanup(func() { rdb.Close() })
	return p, rdb, s.Client(t)
}

func refused(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "ERR max requests limit exceeded")
}

func TestItRefuses(t *testing.T) {
	t.Parallel()
	p, rdb, direct := start(t)
	ctx := t.Context()
	if err := rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	p.Refuse(quota.Writes)
	if v, err := rdb.Get(ctx, "k").Result(); v != "v" || err != nil {
		t.Errorf("GET while writes are refused: %q, %v", v, err)
	}
	if err := rdb.Incr(ctx, "n").Err(); !refused(err) {
		t.Errorf("INCR while writes are refused: %v", err)
	}
	p.Refuse(quota.All)
	if err := rdb.Get(ctx, "k").Err(); !refused(err) {
		t.Errorf("GET while all is refused: %v", err)
	}
	if err := rdb.Ping(ctx).Err(); err != nil {
		t.Errorf("PING while all is refused: %v", err)
	}
	p.Renew()
	if n, err := rdb.Incr(ctx, "n").Result(); n != 1 || err != nil {
		t.Errorf("INCR after that: %d, %v", n, err)
	}
	if n := direct.Get(ctx, "n").Val(); n != "1" || p.Refusals() != 2 {
		t.Errorf("the server has %s, %d refusals; want 1 and 2", n, p.Refusals())
	}
}

func TestItRefusesFromTheMiddleOfAPipeline(t *testing.T) {
	t.Parallel()
	p, rdb, direct := start(t)
	ctx := t.Context()
	rdb.Ping(ctx)
	p.Allow(3)
	cmds, _ := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for range 5 {
			pipe.Incr(ctx, "n")
		}
		return nil
	})
	for i, cmd := range cmds {
		if n := cmd.(*redis.IntCmd).Val(); i < 3 && n != int64(i+1) || refused(cmd.Err()) != (i >= 3) {
			t.Errorf("command %d: %d, %v", i, n, cmd.Err())
		}
	}
	if n := direct.Get(ctx, "n").Val(); n != "3" {
		t.Errorf("the server has %s, want 3", n)
	}
}

// A transaction is whole or not at all, wherever in it the quota ends.
func TestItRefusesInATransaction(t *testing.T) {
	t.Parallel()
	p, rdb, direct := start(t)
	ctx := t.Context()
	for left := range 5 { // MULTI, two commands, EXEC
		p.Allow(left)
		_, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Incr(ctx, "a")
			pipe.Incr(ctx, "b")
			return nil
		})
		p.Renew()
		p.Cut() // an EXEC that was refused leaves its connection inside the transaction
		want := "0"
		if left == 4 {
			want = "1"
		}
		if (err == nil) != (left == 4) {
			t.Errorf("with %d left: %v", left, err)
		}
		for _, k := range []string{"a", "b"} {
			if n := direct.IncrBy(ctx, k, 0).String(); !strings.HasSuffix(n, ": "+want) {
				t.Errorf("with %d left: %s, want %s", left, n, want)
			}
		}
	}
}

// As on a real server a command that was not queued makes EXEC fail, although it is not refused itself.
func TestARefusedCommandAbortsItsTransaction(t *testing.T) {
	t.Parallel()
	p, rdb, direct := start(t)
	ctx := t.Context()
	conn := rdb.Conn()
	defer conn.Close()
	conn.Do(ctx, "MULTI")
	p.Refuse(quota.All)
	if err := conn.Incr(ctx, "a").Err(); !refused(err) {
		t.Errorf("in the transaction: %v", err)
	}
	p.Renew()
	conn.Do(ctx, "INCR", "b")
	if err := conn.Do(ctx, "EXEC").Err(); err == nil || !strings.HasPrefix(err.Error(), "EXECABORT") {
		t.Errorf("EXEC: %v", err)
	}
	if n, err := conn.Incr(ctx, "c").Result(); n != 1 || err != nil {
		t.Errorf("after the transaction: %d, %v", n, err)
	}
	if n := direct.Exists(ctx, "a", "b").Val(); n != 0 {
		t.Errorf("%d of its keys are there", n)
	}
}

func TestItLosesReplies(t *testing.T) {
	t.Parallel()
	p, rdb, direct := start(t)
	ctx := t.Context()
	p.LoseReplies(1)
	if err := rdb.Incr(ctx, "n").Err(); err == nil {
		t.Error("the reply has come")
	}
	if n := direct.Get(ctx, "n").Val(); n != "1" {
		t.Errorf("the server has %q, want 1", n)
	}
	if n, err := rdb.Incr(ctx, "n").Result(); n != 2 || err != nil {
		t.Errorf("the next: %d, %v", n, err)
	}
}

func TestItParts(t *testing.T) {
	t.Parallel()
	p, rdb, _ := start(t)
	ctx := t.Context()
	rdb.Ping(ctx)
	p.Part(true)
	if err := rdb.Ping(ctx).Err(); err == nil {
		t.Error("PING has reached the server")
	}
	p.Part(false)
	if err := rdb.Ping(ctx).Err(); err != nil {
		t.Error(err)
	}
}

func TestItHoldsAnExec(t *testing.T) {
	t.Parallel()
	p, rdb, direct := start(t)
	ctx := t.Context()
	tx := func(key string) error {
		_, err := rdb.TxPipelined(context.Background(), func(pipe redis.Pipeliner) error {
			pipe.Incr(context.Background(), key)
			return nil
		})
		return err
	}
	held, release := make(chan struct{}), make(chan struct{})
	marked := quota.Has("marked")
	p.At("EXEC", marked, func() (quota.Fate, func()) {
		close(held)
		<-release
		return quota.Pass, nil
	})
	if err := tx("other"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- tx("marked") }()
	<-held
	if err := rdb.Set(ctx, "meanwhile", 1, 0).Err(); err != nil {
		t.Error(err)
	}
	if n := direct.Exists(ctx, "marked").Val(); n != 0 {
		t.Error("EXEC has run")
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	p.At("EXEC", marked, func() (quota.Fate, func()) { return quota.Sever, nil })
	if err := tx("marked"); err == nil {
		t.Error("EXEC has a reply, and was not sent on")
	}
	p.At("EXEC", marked, func() (quota.Fate, func()) { return quota.Lose, nil })
	if err := tx("marked"); err == nil {
		t.Error("EXEC has a reply that was to be lost")
	}
	if n := direct.Get(ctx, "marked").Val(); n != "2" {
		t.Errorf("%q, want 2", n)
	}
}

func TestItSaysWhenTheServerHasAnswered(t *testing.T) {
	t.Parallel()
	for fate, has := range map[quota.Fate]string{quota.Pass: "1", quota.Lose: "1", quota.Sever: ""} {
		p, rdb, direct := start(t)
		ctx := t.Context()
		var calls, seen []string
		p.At("INCR", quota.Has("n"), func() (quota.Fate, func()) {
			calls = append(calls, "sent")
			return fate, func() {
				calls = append(calls, "answered")
				seen = append(seen, direct.Get(ctx, "n").Val())
			}
		})
		if err := rdb.Incr(ctx, "n").Err(); (err == nil) != (fate == quota.Pass) {
			t.Errorf("fate %d: %v", fate, err)
		}
		p.Close()
		if !slices.Equal(calls, []string{"sent", "answered"}) || !slices.Equal(seen, []string{has}) {
			t.Errorf("fate %d: %q, and the server had %q; want it to have %q", fate, calls, seen, has)
		}
	}
	// A server that ends without an answer.
	server := redistest.Start(t)
	p, err := quota.Listen(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	rdb := redis.NewClient(&redis.Options{Addr: p.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	then := make(chan struct{})
	p.At("INCR", quota.Has("n"), func() (quota.Fate, func()) {
		server.Kill()
		return quota.Pass, func() { close(then) }
	})
	if err := rdb.Incr(t.Context(), "n").Err(); err == nil {
		t.Error("a server that is gone has answered")
	}
	<-then
}
