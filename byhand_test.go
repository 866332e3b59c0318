package fallback_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// A MULTI by hand that the quota refuses moves to local at once, with all that follows it.
func TestTransactionByHandMeetsTheQuota(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.Ping(ctx)
	conn := p.rdb.Conn()
	defer conn.Close()
	p.primary.RefuseOnly("MULTI", fallbacktest.ReplyRequests)
	began := time.Now()
	for _, line := range [][]any{{"multi"}, {"incr", "n"}, {"exec"}} {
		if err := conn.Do(ctx, line...).Err(); err != nil {
			t.Fatalf("%v: %v", line, err)
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	p.serves(t, fallback.Local)
	if get(t, p.local, "n") != "1" || get(t, p.primary, "n") != "" {
		t.Errorf("n is %q on local, %q on the primary", get(t, p.local, "n"), get(t, p.primary, "n"))
	}
}

// A transaction by hand leaves nothing on its connection, however it ends.
func TestTransactionByHandLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"discard", "exec", ""} {
		for _, on := range []fallback.Backend{fallback.Primary, fallback.Local} {
			t.Run(fmt.Sprint(end, " on ", on), func(t *testing.T) {
				t.Parallel()
				p := pairOf(t, fallbacktest.Run(t), fallbacktest.Run(t), func(o *redis.Options) { o.PoolSize = 1 })
				p.h.Pin(on)
				conn := p.rdb.Conn()
				for _, line := range [][]any{{"multi"}, {"incr", "n"}, {end}} {
					if line[0] == "" {
						continue
					}
					if err := conn.Do(ctx, line...).Err(); err != nil {
						t.Fatalf("%v: %v", line, err)
					}
				}
				_ = conn.Close()
				for range 3 {
					if v, err := p.rdb.Incr(ctx, "m").Result(); err != nil || v == 0 {
						t.Fatalf("a stranger's INCR: %d, %v", v, err)
					}
					if cmds, err := p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
						pipe.Incr(ctx, "m")
						return nil
					}); err != nil || len(cmds) != 1 {
						t.Fatalf("a stranger's transaction: %v", err)
					}
				}
				srv := map[fallback.Backend]*fallbacktest.Server{fallback.Primary: p.primary, fallback.Local: p.local}[on]
				if got := get(t, srv, "m"); got != "6" {
					t.Errorf("m is %s, want 6", got)
				}
			})
		}
	}
}

// A MULTI that a switch has met is taken from the primary's connection before its Conn goes on there, and
// its caller may begin again where it is served.
func TestTransactionByHandAcrossTwoSwitches(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.Ping(ctx)
	conn := p.rdb.Conn()
	defer conn.Close()
	do := func(args ...any) (any, error) { return conn.Do(ctx, args...).Result() }
	_, err1 := do("multi")
	_, err2 := do("set", "a", "first")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	p.h.Pin(fallback.Local)
	if _, err := do("set", "a", "second"); err != redis.TxFailedErr { //nolint:errorlint // as it comes
		t.Errorf("after the switch: %v, want %v", err, redis.TxFailedErr)
	}
	for _, line := range [][]any{{"multi"}, {"set", "a", "again"}, {"exec"}} {
		if _, err := do(line...); err != nil {
			t.Errorf("%v on local: %v", line, err)
		}
	}
	p.h.Pin(fallback.Primary)
	if v, err := do("set", "b", 1); v != "OK" || err != nil || get(t, p.primary, "b") != "1" {
		t.Errorf("back on the primary: %v, %v", v, err)
	}
	if get(t, p.primary, "a") != "again" || get(t, p.local, "a") != "again" {
		t.Errorf("a is %q on the primary and %q on local", get(t, p.primary, "a"), get(t, p.local, "a"))
	}
}

// Transactions by hand that a server answers oddly are answered as on a bare client.
func TestOddTransactionsByHand(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	bare := redis.NewClient(p.primary.Options())
	defer bare.Close()
	for _, lines := range [][][]any{
		{{"watch", "k"}, {"discard"}, {"get", "x"}},
		{{"watch", "k"}, {"exec"}, {"get", "x"}},
		{{"multi"}, {"unwatch"}, {"set", "x", 1}, {"exec"}, {"get", "x"}},
	} {
		answers := map[*redis.Client]string{}
		for _, rdb := range []*redis.Client{bare, p.rdb} {
			conn := rdb.Conn()
			for _, line := range lines {
				v, err := conn.Do(ctx, line...).Result()
				answers[rdb] += fmt.Sprint(v, " ", err, "; ")
			}
			_ = conn.Close()
		}
		if answers[bare] != answers[p.rdb] {
			t.Errorf("%v:\nbare %s\nhook %s", lines, answers[bare], answers[p.rdb])
		}
	}
}
