package fallback_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

const loading = "LOADING Redis is loading the dataset in memory"

// What go-redis would have repeated, and must not any more, the hook repeats itself.
func TestBusyIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*pair) error{
		"single": func(p *pair) error { return p.rdb.Incr(ctx, "n").Err() },
		"pipeline": func(p *pair) error {
			_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Incr(ctx, "n")
				pipe.LPush(ctx, "l", 1) // answered at once, and not sent again
				return nil
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.rdb.Ping(ctx)
			p.primary.RefuseOnly("INCR", loading)
			time.AfterFunc(5*time.Millisecond, func() { p.primary.RefuseOnly("INCR", "") })
			if err := call(p); err != nil || get(t, p.primary, "n") != "1" {
				t.Errorf("INCR while the server loads: %v; n is %q", err, get(t, p.primary, "n"))
			}
			if l, _ := p.primary.Data().List("l"); name == "pipeline" && len(l) != 1 {
				t.Errorf("the list has %d entries, want 1", len(l))
			}
			p.serves(t, fallback.Primary)
		})
	}
}

func TestBusyEndsWithItsOwnError(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.primary.RefuseOnly("INCR", loading)
	err := p.rdb.Incr(ctx, "n").Err()
	if !redis.IsLoadingError(err) || err.Error() != loading {
		t.Errorf("error %v, want the server's", err)
	}
	if n := p.primary.Refused(); n != 4 {
		t.Errorf("%d attempts, want 1 and 3 retries", n)
	}
}

func TestRetriesCanBeOff(t *testing.T) {
	t.Parallel()
	p := newPair(t, fallback.WithRetries(-1))
	p.primary.RefuseOnly("INCR", loading)
	if err := p.rdb.Incr(ctx, "n").Err(); !redis.IsLoadingError(err) || p.primary.Refused() != 1 {
		t.Errorf("error %v after %d attempts, want one attempt", err, p.primary.Refused())
	}
}

// Pipelines and transactions that meet an outage go to local whole, if nothing of them was sent.
func TestBatchesInAnOutage(t *testing.T) {
	t.Parallel()
	for _, tx := range []bool{false, true} {
		t.Run(fmt.Sprintf("tx=%v", tx), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.primary.Stop()
			run := p.rdb.Pipelined
			if tx {
				run = p.rdb.TxPipelined
			}
			var n *redis.IntCmd
			_, err := run(ctx, func(pipe redis.Pipeliner) error {
				n = pipe.Incr(ctx, "n")
				pipe.Set(ctx, "k", "v", 0)
				return nil
			})
			if err != nil || n.Val() != 1 || get(t, p.local, "k") != "v" {
				t.Errorf("%v; n %d, k %q", err, n.Val(), get(t, p.local, "k"))
			}
			p.serves(t, fallback.Local)
		})
	}
}

// A transaction on local is one, and its own errors are untouched.
func TestTransactionOnLocal(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.primary.Exhaust()
	p.local.Data().Set("s", "text")
	cmds, err := p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "n")
		pipe.LPush(ctx, "s", 1)
		return nil
	})
	if err == nil || err.Error() != "WRONGTYPE Operation against a key holding the wrong kind of value" || cmds[0].Err() != nil {
		t.Errorf("error %v; first %v", err, cmds[0].Err())
	}
	if p.local.Count("INCR") != 1 || get(t, p.local, "n") != "1" {
		t.Errorf("INCR ran %d times on local, n %q", p.local.Count("INCR"), get(t, p.local, "n"))
	}
	p.primary.Renew()
	if err := p.h.Pin(fallback.Primary); err != nil {
		t.Fatal(err)
	}
	p.serves(t, fallback.Primary)
	if get(t, p.primary, "n") != "1" || p.primary.Data().Exists("s") {
		t.Errorf("after the return n is %q on the primary; the command that failed is there: %v", get(t, p.primary, "n"), p.primary.Data().Exists("s"))
	}
}

// A client made by NewFailoverClient is covered like any other.
func TestFailoverClient(t *testing.T) {
	t.Parallel()
	primary, local := redistest.Start(t), redistest.Start(t)
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor main 127.0.0.1 %d 1\nsentinel down-after-milliseconds main 1000\n", primary.Port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := redistest.StartConfig(t, conf, "--sentinel")
	rdb := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: "main", SentinelAddrs: []string{sentinel.Addr()},
	})
	defer rdb.Close()
	h := fallback.New(local.Client(t), cold(), fallback.WithLogger((&lines{}).logger()), quick())
	defer h.Shutdown(ctx)
	rdb.AddHook(h)
	if err := rdb.Set(ctx, "k", 1, 0).Err(); err != nil || primary.Get(t, "k") != "1" {
		t.Fatalf("SET through Sentinel: %v", err)
	}
	primary.Kill()
	if err := rdb.Set(ctx, "k", 2, 0).Err(); err != nil || local.Get(t, "k") != "2" {
		t.Fatalf("SET without a primary: %v", err)
	}
	primary.Restart(t)
	eventually(t, "the return", func() bool { return h.Serving() == fallback.Primary })
	if err := rdb.Set(ctx, "k", 3, 0).Err(); err != nil || primary.Get(t, "k") != "3" {
		t.Errorf("SET after the return: %v", err)
	}
}

// No key and no value stands in a log line, a status or an error of the hook's own.
func TestNoKeyNoValueIsShown(t *testing.T) {
	t.Parallel()
	p := pairOf(t, fallbacktest.Run(t, fallbacktest.WithPassword("hunter2")), fallbacktest.Run(t), nil, quick())
	p.primary.Refuse("NOPERM User x has no permissions to access the key 'hunter2:key'")
	_ = p.rdb.Set(ctx, "hunter2:key", "hunter2:value", 0).Err()
	p.primary.Refuse("MISCONF hunter2")
	for range 6 {
		_ = p.rdb.Incr(ctx, "hunter2:key").Err()
	}
	p.serves(t, fallback.Local)
	p.local.Stop()
	err := p.rdb.Incr(ctx, "hunter2:key").Err()
	if _, ok := errors.AsType[*fallback.Error](err); !ok {
		t.Fatalf("error %v", err)
	}
	_ = p.h.Shutdown(ctx)
	if shown := p.log.String() + fmt.Sprintf("%+v", p.h.Status()); strings.Contains(shown, "hunter2") {
		t.Errorf("a log line or the status shows it:\n%s", shown)
	}
	if !strings.Contains(p.log.String(), "denies access") {
		t.Errorf("the denial was not said:\n%s", p.log)
	}
}

// Local is a server like any other: what is lost there is not run twice either, and what is refused
// for the moment is tried again.
func TestLostAndBusyOnLocal(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*pair) error{
		"INCR": func(p *pair) error { return p.rdb.Incr(ctx, "n").Err() },
		"in a pipeline": func(p *pair) error {
			_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Incr(ctx, "n")
				pipe.Get(ctx, "k")
				return nil
			})
			return err
		},
		"in a transaction": func(p *pair) error {
			_, err := p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Incr(ctx, "n")
				return nil
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.primary.Exhaust()
			p.rdb.Get(ctx, "k")
			p.serves(t, fallback.Local)
			// That is how a write travels with its entry; the looks at the record do so as well.
			p.local.LoseReply("EVALSHA", 1000)
			var both *fallback.Error
			if err := call(p); !errors.As(err, &both) || get(t, p.local, "n") != "1" {
				t.Errorf("lost on local: %v, n %q; want both causes and 1", err, get(t, p.local, "n"))
			}
			p.local.LoseReply("EVALSHA", 0)
			p.local.RefuseOnly("EVALSHA", loading)
			time.AfterFunc(5*time.Millisecond, func() { p.local.RefuseOnly("EVALSHA", "") })
			if name != "INCR" {
				return
			}
			if err := call(p); err != nil || get(t, p.local, "n") != "2" {
				t.Errorf("refused for a moment on local: %v, n %q", err, get(t, p.local, "n"))
			}
		})
	}
	p := newPair(t)
	p.primary.Exhaust()
	p.rdb.Set(ctx, "k", "v", 0)
	p.local.LoseReply("GET", 2)
	if v, err := p.rdb.Get(ctx, "k").Result(); v != "v" || err != nil {
		t.Errorf("a GET lost on local: %q, %v", v, err)
	}
}
