package fallback_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

func TestPrimaryOnly(t *testing.T) {
	t.Parallel()
	p := newPair(t, fallback.WithPrimaryOnly(func(cmd redis.Cmder) bool {
		args := cmd.Args()
		return len(args) > 1 && strings.HasPrefix(args[1].(string), "lock:")
	}))
	p.primary.Exhaust()
	var limit *fallback.LimitError
	if err := p.rdb.SetNX(ctx, "lock:a", 1, 0).Err(); !errors.As(err, &limit) { // trips
		t.Errorf("SETNX that trips: %v", err)
	}
	p.serves(t, fallback.Local)
	refused := p.primary.Refused()
	if err := p.rdb.SetNX(ctx, "lock:a", 1, 0).Err(); !errors.As(err, &limit) {
		t.Errorf("SETNX while local serves: %v, want the stored refusal", err)
	}
	if err := p.rdb.Incr(fallback.PrimaryOnly(ctx), "n").Err(); !errors.As(err, &limit) {
		t.Errorf("INCR of a PrimaryOnly context: %v, want the stored refusal", err)
	}
	cmds, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "a", 1, 0)
		pipe.Set(ctx, "lock:b", 1, 0)
		pipe.Set(ctx, "c", 1, 0)
		return nil
	})
	if !errors.As(err, &limit) || cmds[0].Err() != nil || !errors.As(cmds[1].Err(), &limit) || cmds[2].Err() != nil {
		t.Errorf("a pipeline with one: %v; %v %v %v", err, cmds[0].Err(), cmds[1].Err(), cmds[2].Err())
	}
	cmds, err = p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "d", 1, 0)
		pipe.Set(ctx, "lock:e", 1, 0)
		return nil
	})
	if !errors.As(err, &limit) || !errors.As(cmds[0].Err(), &limit) {
		t.Errorf("a transaction with one: %v", err)
	}
	for _, key := range []string{"lock:a", "lock:b", "n", "d", "lock:e"} {
		if p.local.Data().Exists(key) {
			t.Errorf("%s is on local", key)
		}
	}
	if n := p.primary.Refused(); n != refused {
		t.Errorf("%d calls to the primary, want none", n-refused)
	}
	if n := p.h.Status().Withheld; n != 6 {
		t.Errorf("%d withheld, want 6", n)
	}
}

func TestAdministrationStays(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.primary.Exhaust()
	p.rdb.Incr(ctx, "n")
	p.serves(t, fallback.Local)
	var limit *fallback.LimitError
	for _, args := range [][]any{{"replicaof", "no", "one"}, {"shutdown"}, {"acl", "whoami"}, {"watch", "k"}, {"debug", "sleep", "0"}} {
		if err := p.rdb.Do(ctx, args...).Err(); !errors.As(err, &limit) {
			t.Errorf("%v: %v, want the primary's refusal", args, err)
		}
	}
	// The hook itself asks local for an ACL, to see whether it is open to all.
	for _, name := range []string{"replicaof", "shutdown", "watch", "debug"} {
		if n := p.local.Count(name); n != 0 {
			t.Errorf("local executed %d %s", n, name)
		}
	}
}

func TestNewPanicsOnNil(t *testing.T) {
	t.Parallel()
	for _, local := range []redis.UniversalClient{nil, (*redis.Client)(nil)} {
		func() {
			defer func() {
				if p, ok := recover().(string); !ok || !strings.Contains(p, "local is nil") {
					t.Errorf("recovered %v, want a sentence", p)
				}
			}()
			fallback.New(local)
		}()
	}
}

func TestSameServerTwice(t *testing.T) {
	t.Parallel()
	srv := fallbacktest.Run(t)
	p := pairOf(t, srv, srv, nil)
	p.rdb.Ping(ctx)
	srv.Exhaust()
	var limit *fallback.LimitError
	if err := p.rdb.Get(ctx, "k").Err(); !errors.As(err, &limit) {
		t.Errorf("error %v", err)
	}
	if st := p.h.Status(); !st.SameServer || st.Serving != fallback.Primary || strings.Count(p.log.String(), "same server") != 1 {
		t.Errorf("status %+v; log:\n%s", st, p.log)
	}
}

func TestHookOnTwoClients(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	second := redis.NewClient(p.primary.Options())
	defer second.Close()
	second.AddHook(p.h)
	p.primary.Exhaust()
	if err := p.rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if v, err := second.Get(ctx, "k").Result(); v != "v" || err != nil {
		t.Errorf("the second client: %q, %v", v, err)
	}
	if n := p.primary.Refused(); n != 1 {
		t.Errorf("%d refusals, want 1: the second client knows of the trip", n)
	}
}

func TestHookAddedTwice(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.AddHook(p.h)
	p.primary.Quota(1)
	for i := range 3 {
		if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
			t.Fatalf("INCR %d: %v", i+1, err)
		}
	}
	if n, m := get(t, p.primary, "n"), get(t, p.local, "n"); n != "1" || m != "2" {
		t.Errorf("n is %s on the primary and %s on local, want 1 and 2", n, m)
	}
}
