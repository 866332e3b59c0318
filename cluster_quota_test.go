package fallback_test

import (
	"errors"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// The quota of one node is the primary's.
func TestClusterQuotaOfOneNode(t *testing.T) {
	t.Parallel()
	for name, nodes := range bothWays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			local := redistest.Start(t)
			p := newClusterPair(t, nodes, local.Client(t))
			p.rdb.Ping(ctx)
			keys := keysApart()
			p.meter.exhaust(p.Nodes[0].Addr())
			cmds, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				for _, key := range keys {
					pipe.Incr(ctx, key)
				}
				return nil
			})
			if err != nil {
				t.Fatalf("a pipeline of which one node refuses its part: %v", err)
			}
			for i, cmd := range cmds {
				onPrimary, onLocal := "1", ""
				if i == 0 { // the node that refuses
					onPrimary, onLocal = "", "1"
				}
				if a, b := p.Get(t, keys[i]), local.Get(t, keys[i]); a != onPrimary || b != onLocal || cmd.Err() != nil {
					t.Errorf("%s is %q on the primary and %q on local (%v), want %q and %q", keys[i], a, b, cmd.Err(), onPrimary, onLocal)
				}
			}
			if st := p.h.Status(); st.Serving != fallback.Local || st.Trips != 1 || st.Refused != 1 {
				t.Errorf("status %+v", st)
			}
		})
	}
}

// A program may start with a cluster that is over quota, and does not even tell its slots.
func TestClusterOverQuotaFromTheStart(t *testing.T) {
	t.Parallel()
	for name, nodes := range bothWays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			local := redistest.Start(t)
			p := newClusterPair(t, nodes, local.Client(t))
			p.meter.setUp = nodes // without AddToCluster go-redis takes a refused HELLO for an old server
			p.meter.exhaust("")
			if n, err := p.rdb.Incr(ctx, "n").Result(); n != 1 || err != nil || local.Get(t, "n") != "1" {
				t.Fatalf("the first INCR: %d, %v; status %+v", n, err, p.h.Status())
			}
			p.meter.renew()
			eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
			if n, err := p.rdb.Incr(ctx, "n").Result(); n != 1 || err != nil || p.Get(t, "n") != "1" {
				t.Errorf("INCR after the return: %d, %v", n, err)
			}
		})
	}
}

// With AddToCluster the connections of the nodes make sure of what becomes of a transaction whose
// MULTI alone is refused.
func TestClusterMultiRefusedAlone(t *testing.T) {
	t.Parallel()
	local := redistest.Start(t)
	p := newClusterPair(t, true, local.Client(t))
	p.rdb.Ping(ctx)
	p.meter.multi = true
	p.meter.exhaust("")
	_, err := p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error { return pipe.Incr(ctx, "n").Err() })
	if !errors.Is(err, fallback.ErrPartialTransaction) {
		t.Errorf("a transaction whose MULTI alone was refused: %v, want ErrPartialTransaction", err)
	}
	if a, b := p.Get(t, "n"), local.Get(t, "n"); a != "1" || b != "" {
		t.Errorf("it ran %q times on the primary and %q on local, want 1 and none", a, b)
	}
	if st := p.h.Status(); st.Trips == 0 {
		t.Errorf("the refusal is no signal; status %+v", st)
	}
}

// A transaction that could not be queued has not run, which a cluster shows at its commands alone.
func TestClusterAbortsTransactions(t *testing.T) {
	t.Parallel()
	for name, nodes := range bothWays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			local := redistest.Start(t)
			p := newClusterPair(t, nodes, local.Client(t), fallback.WithBreaker(breaker.Config{Failures: 2}), fallback.WithHealth(health.Config{}))
			p.rdb.Ping(ctx)
			for _, n := range p.Nodes {
				if err := n.Client(t).ConfigSet(ctx, "min-replicas-to-write", "1").Err(); err != nil {
					t.Fatal(err)
				}
			}
			cmds, err := p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Get(ctx, "{t}none")
				pipe.Incr(ctx, "{t}n")
				return nil
			})
			if err != redis.Nil || cmds[1].(*redis.IntCmd).Val() != 1 || local.Get(t, "{t}n") != "1" { //nolint:errorlint // as it comes
				t.Errorf("a transaction on a cluster that takes no writes: %v, %v; status %+v", err, cmds[1], p.h.Status())
			}
		})
	}
}

// Law 4 on a cluster: a Watch runs whole on the server that serves.
func TestClusterWatch(t *testing.T) {
	t.Parallel()
	local := redistest.Start(t)
	p := newClusterPair(t, true, local.Client(t))
	add := func(tx *redis.Tx) error {
		n, err := tx.Get(ctx, "n").Int()
		if err != nil && err != redis.Nil { //nolint:errorlint // as it comes
			return err
		}
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error { return pipe.Set(ctx, "n", n+1, 0).Err() })
		return err
	}
	for range 2 {
		if err := p.rdb.Watch(ctx, add, "n"); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Get(t, "n"); n != "2" {
		t.Errorf("n is %s after two transactions", n)
	}
	p.meter.exhaust("")
	p.rdb.Ping(ctx)
	if err := p.rdb.Watch(ctx, add, "n"); err != nil || local.Get(t, "n") != "1" {
		t.Errorf("Watch over quota: %v; n is %q on local, want 1", err, local.Get(t, "n"))
	}
	p.meter.renew()
	eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
	p.Kill()
	if err := p.rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := p.rdb.Watch(ctx, add, "n"); err != nil || local.Get(t, "n") != "2" {
		t.Errorf("Watch without nodes: %v; n is %q on local, want 2", err, local.Get(t, "n"))
	}
	if n := p.h.Status().LocalSessions; n != 0 {
		t.Errorf("%d connections of local are still held", n)
	}
}
