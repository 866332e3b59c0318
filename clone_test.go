package fallback_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// A clone has no hooks, so it gets the refusal itself; with the hook added it shares the switch.
func TestWithTimeoutClonesNeedTheHook(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	clone := p.rdb.WithTimeout(5 * time.Second)
	p.primary.Exhaust()
	if err := clone.Incr(ctx, "n").Err(); err == nil || errors.As(err, new(*fallback.LimitError)) {
		t.Errorf("a clone without the hook: %v", err)
	}
	p.serves(t, fallback.Primary)
	clone.AddHook(p.h)
	if n, err := clone.Incr(ctx, "n").Result(); err != nil || n != 1 {
		t.Errorf("a clone with the hook: %d, %v", n, err)
	}
	p.serves(t, fallback.Local)
	refused := p.primary.Refused()
	if n, err := p.rdb.Incr(ctx, "n").Result(); err != nil || n != 2 || p.primary.Refused() != refused {
		t.Errorf("its client did not switch with it: %d, %v", n, err)
	}
	pipe := clone.TxPipeline()
	n := pipe.Incr(ctx, "n")
	if _, err := pipe.Exec(ctx); err != nil || n.Val() != 3 {
		t.Errorf("a transaction of the clone: %d, %v", n.Val(), err)
	}
}

// What OnConnect sends belongs to the connection: it stays on the primary, whatever serves, and a
// refusal there is the refusal of the command that wanted the connection.
func TestOnConnectStaysOnThePrimary(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		p := connecting(t, protocol)
		if err := p.rdb.Incr(ctx, "n").Err(); err != nil || number(t, p.primary, "seen") != 1 {
			t.Errorf("RESP%d: %v; OnConnect ran %d times on the primary", protocol, err, number(t, p.primary, "seen"))
		}
		p.primary.Cut()
		p.h.Pin(fallback.Local)
		conn := p.rdb.Conn()
		_ = conn.ConfigSet(fallback.PrimaryOnly(ctx), "maxmemory", "0").Err() // wants a new connection
		_ = conn.Close()
		if a, b := number(t, p.primary, "seen"), p.local.Data().Keys(); a != 2 || len(b) != 0 {
			t.Errorf("RESP%d: while local serves OnConnect ran %d times on the primary, want 2; keys on local: %v", protocol, a, b)
		}
	}
}

func TestOnConnectRefusedTripsAndReplays(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		p := connecting(t, protocol)
		p.primary.Exhaust()
		if n, err := p.rdb.Incr(ctx, "n").Result(); err != nil || n != 1 {
			t.Errorf("RESP%d: the command that wanted the connection: %d, %v", protocol, n, err)
		}
		p.serves(t, fallback.Local)
		if keys := p.local.Data().Keys(); len(keys) != 1 || p.local.Count("INCR") != 1 {
			t.Errorf("RESP%d: %d INCR ran on local, and %v is there; want the caller's", protocol, p.local.Count("INCR"), keys)
		}
	}
}

func connectCount(ctx context.Context, conn *redis.Conn) error {
	_, err := conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "seen")
		return nil
	})
	if err != nil {
		return err
	}
	return conn.Get(ctx, "seen").Err()
}

// connecting is a pair whose primary's connections count themselves, in OnConnect.
func connecting(t *testing.T, protocol int) *pair {
	t.Helper()
	p := newPair(t)
	o := p.primary.Options()
	o.Protocol = protocol
	o.OnConnect = connectCount
	p.rdb = redis.NewClient(o)
	p.rdb.AddHook(p.h)
	t.Cleanup(func() { _ = p.rdb.Close() })
	return p
}
