package fallback_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func TestClusterOutages(t *testing.T) {
	t.Parallel()
	for name, nodes := range bothWays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			local := redistest.Start(t)
			p := newClusterPair(t, nodes, local.Client(t))
			if err := p.rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
				t.Fatal(err)
			}
			p.Kill()
			if err := p.rdb.Set(ctx, "k", 2, 0).Err(); err != nil {
				t.Fatalf("SET without nodes: %v", err)
			}
			if n, err := p.rdb.Incr(ctx, "n").Result(); n != 1 || err != nil {
				t.Errorf("INCR without nodes: %d, %v", n, err)
			}
			cmds, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				for _, key := range keysApart() {
					pipe.Incr(ctx, key)
				}
				return nil
			})
			if err != nil || cmds[2].(*redis.IntCmd).Val() != 1 {
				t.Errorf("a pipeline without nodes: %v", err)
			}
			if p.h.Serving() != fallback.Local || local.Get(t, "k") != "2" {
				t.Fatalf("status %+v", p.h.Status())
			}
			p.Restart(t)
			p.Wait(t)
			eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
			for _, key := range keysApart() {
				if n, err := p.rdb.Incr(ctx, key).Result(); n != 1 || err != nil {
					t.Errorf("INCR after the return: %d, %v; want 1", n, err)
				}
			}
		})
	}
}

// A pipeline that meets an outage is replayed whole, as is a transaction.
func TestClusterOutageMeetsBatches(t *testing.T) {
	t.Parallel()
	local := redistest.Start(t)
	p := newClusterPair(t, true, local.Client(t), fallback.WithHealth(health.Config{}))
	for _, c := range []struct {
		run  func(context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error)
		keys [3]string
	}{
		{p.rdb.TxPipelined, [3]string{"{t}1", "{t}2", "{t}3"}},
		{p.rdb.Pipelined, keysApart()},
	} {
		p.h.Pin(fallback.Primary)
		p.rdb.Ping(ctx)
		p.Kill()
		p.h.Unpin()
		_, err := c.run(ctx, func(pipe redis.Pipeliner) error {
			for _, key := range c.keys {
				pipe.Incr(ctx, key)
			}
			return nil
		})
		if err != nil || p.h.Serving() != fallback.Local {
			t.Fatalf("a batch without nodes: %v; status %+v", err, p.h.Status())
		}
		for _, key := range c.keys {
			if n := local.Get(t, key); n != "1" {
				t.Errorf("%s on local is %q, want 1", key, n)
			}
		}
	}
}

func TestClusterHangs(t *testing.T) {
	t.Parallel()
	local := redistest.Start(t)
	p := newClusterPair(t, true, local.Client(t), fallback.WithHang(100*time.Millisecond, 100*time.Millisecond))
	for _, key := range keysApart() {
		p.rdb.Set(ctx, key, 1, 0)
	}
	for _, n := range p.Nodes {
		n.Hang()
	}
	if err := p.rdb.Set(ctx, "b", 2, 0).Err(); err != nil || local.Get(t, "b") != "2" {
		t.Errorf("SET on a hung cluster: %v; %q on local", err, local.Get(t, "b"))
	}
	if st := p.h.Status(); st.Trips != 1 || st.Reason != fallback.ReasonOutage {
		t.Errorf("status %+v", st)
	}
	for _, n := range p.Nodes {
		n.Resume()
	}
	eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
}

// A node that is gone is an outage where a command needs it, and nowhere else.
func TestClusterLosesANode(t *testing.T) {
	t.Parallel()
	for name, nodes := range bothWays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			local := redistest.Start(t)
			p := newClusterPair(t, nodes, local.Client(t), fallback.WithHealth(health.Config{}))
			for _, n := range p.Nodes {
				if err := n.Client(t).ConfigSet(ctx, "cluster-require-full-coverage", "no").Err(); err != nil {
					t.Fatal(err)
				}
			}
			keys := keysApart()
			p.rdb.Get(ctx, keys[1])
			p.Nodes[0].Kill()
			// go-redis asks nodes for their slots, one that is gone too.
			gone, err := p.rdb.MasterForKey(ctx, keys[0])
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := gone.ClusterInfo(ctx).Err(); err == nil {
					t.Fatal("the node lives")
				}
			}
			if st := p.h.Status(); st.Serving != fallback.Primary {
				t.Fatalf("a node that no command needs is an outage; status %+v", st)
			}
			if n, err := p.rdb.Incr(ctx, keys[1]).Result(); n != 1 || err != nil || p.Get(t, keys[1]) != "1" {
				t.Fatalf("INCR on a node that lives: %d, %v", n, err)
			}
			if n, err := p.rdb.Incr(ctx, keys[0]).Result(); n != 1 || err != nil || local.Get(t, keys[0]) != "1" {
				t.Errorf("INCR on the node that is gone: %d, %v; status %+v", n, err, p.h.Status())
			}
			if st := p.h.Status(); st.Serving != fallback.Local || st.Reason != fallback.ReasonOutage {
				t.Errorf("status %+v", st)
			}
		})
	}
}
