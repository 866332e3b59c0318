package fallback_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// clusterPair is a cluster with the hook, added one way or the other, and a local.
type clusterPair struct {
	*redistest.Cluster
	rdb   *redis.ClusterClient
	h     *fallback.Hook
	meter *meter
	lost  *loseReplies
}

func newClusterPair(t *testing.T, nodes bool, local redis.UniversalClient, opts ...fallback.Option) *clusterPair {
	t.Helper()
	p := &clusterPair{Cluster: redistest.StartCluster(t), meter: &meter{}, lost: &loseReplies{}}
	o := p.Options()
	o.Dialer = p.meter.over2(p.lost)
	p.rdb = redis.NewClusterClient(o)
	p.h = fallback.New(local, append([]fallback.Option{fallback.WithLogger((&lines{}).logger()), quick()}, opts...)...)
	if nodes {
		p.h.AddToCluster(p.rdb)
	} else {
		p.rdb.AddHook(p.h)
	}
	t.Cleanup(func() {
		_ = p.h.Shutdown(ctx)
		_ = p.rdb.Close()
	})
	return p
}

// bothWays says whether the hook is added to the nodes too.
var bothWays = map[string]bool{"AddHook": false, "AddToCluster": true}

// One INCR is one increment at most, on whatever node of a pipeline it is lost.
func TestClusterRunsNothingTwice(t *testing.T) {
	t.Parallel()
	for name, nodes := range bothWays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			local := redistest.Start(t)
			p := newClusterPair(t, nodes, local.Client(t))
			p.rdb.Ping(ctx)
			keys := keysApart()
			incrAll := func() ([]redis.Cmder, error) {
				return p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
					for _, key := range keys {
						pipe.Incr(ctx, key)
					}
					return nil
				})
			}
			for i := range keys {
				p.lost.next("incr", 1) // on any one node
				cmds, err := incrAll()
				if !errors.Is(err, io.EOF) {
					t.Errorf("a pipeline with a lost reply: %v, want io.EOF", err)
				}
				lost := 0
				for j, cmd := range cmds {
					if cmd.Err() != nil {
						lost++
					}
					if n := p.Get(t, keys[j]); n != fmt.Sprint(i+1) {
						t.Errorf("%s is %s after %d pipelines", keys[j], n, i+1)
					}
				}
				if lost != 1 {
					t.Errorf("%d commands are lost, want 1", lost)
				}
			}
			p.lost.next("incr", 1)
			if err := p.rdb.Incr(ctx, "single").Err(); !errors.Is(err, io.EOF) || p.Get(t, "single") != "1" {
				t.Errorf("a lost INCR: %v; it ran %s times", err, p.Get(t, "single"))
			}
			p.lost.next("exec", 1)
			_, err := p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error { return pipe.Incr(ctx, "tx").Err() })
			if p.lost.next("", 0); err == nil || p.Get(t, "tx") != "1" {
				t.Errorf("a lost transaction: %v; it ran %s times", err, p.Get(t, "tx"))
			}
			for _, key := range append(keys[:], "single", "tx") {
				if n := local.Get(t, key); n != "" {
					t.Errorf("%s ran on local as well: %s", key, n)
				}
			}
		})
	}
}

// While a cluster is local the same holds for it.
func TestLocalClusterRunsNothingTwice(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	lost := &loseReplies{}
	o := c.Options()
	o.Dialer = lost.dial
	local := redis.NewClusterClient(o)
	defer local.Close()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer rdb.Close()
	h := fallback.New(local, fallback.WithLogger((&lines{}).logger()))
	defer h.Shutdown(ctx)
	rdb.AddHook(h)
	h.Pin(fallback.Local)
	keys := keysApart()
	lost.next("incr", 1)
	cmds, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, key := range keys {
			pipe.Incr(ctx, key)
		}
		return nil
	})
	if !errors.Is(err, io.EOF) {
		t.Errorf("a pipeline that is lost on local: %v, want io.EOF", err)
	}
	failed := 0
	for i, cmd := range cmds {
		if cmd.Err() != nil {
			failed++
		}
		if n := c.Get(t, keys[i]); n != "1" {
			t.Errorf("%s is %s, want 1", keys[i], n)
		}
	}
	if failed != 1 {
		t.Errorf("%d commands failed, want 1", failed)
	}
}

// What a bare ClusterClient does with keys of several slots, a local one does.
func TestCrossSlotsOnLocalCluster(t *testing.T) {
	t.Parallel()
	p := newPairOver(t, redistest.StartCluster(t))
	keys := keysApart()
	p.hosted.Exhaust()
	cmds, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, keys[0])
		pipe.MGet(ctx, keys[:]...)
		pipe.Incr(ctx, keys[1])
		pipe.Del(ctx, keys[:]...)
		pipe.Incr(ctx, keys[2])
		return nil
	})
	if !errors.Is(err, redis.ErrCrossSlot) {
		t.Errorf("the pipeline that trips: %v, want CROSSSLOT", err)
	}
	for i, cmd := range cmds {
		if crossed := i%2 == 1; crossed != errors.Is(cmd.Err(), redis.ErrCrossSlot) || !crossed && cmd.Err() != nil {
			t.Errorf("command %d: %v", i, cmd.Err())
		}
	}
	for _, key := range keys {
		if n := p.cluster.Get(t, key); n != "1" {
			t.Errorf("%s is %s, want 1: the commands between ran once", key, n)
		}
	}
	cmds, err = p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, keys[0])
		pipe.Incr(ctx, keys[1])
		return nil
	})
	if !errors.Is(err, redis.ErrCrossSlot) || !errors.Is(cmds[0].Err(), redis.ErrCrossSlot) || p.cluster.Get(t, keys[0]) != "1" {
		t.Errorf("a transaction over two slots: %v, and %s is %s", err, keys[0], p.cluster.Get(t, keys[0]))
	}
	if st := p.h.Status(); st.Serving != fallback.Local || st.Local.Breaker != "closed" {
		t.Errorf("CROSSSLOT is an answer; status %+v", st)
	}
}

// A command that a cluster spreads over its nodes keeps its value behind the hook's mark.
func TestClusterSpreadsCommands(t *testing.T) {
	t.Parallel()
	local := redistest.StartCluster(t).Client(t)
	p := newClusterPair(t, true, local)
	for _, rdb := range []*redis.ClusterClient{p.rdb, local} {
		rdb.SetCommandInfoResolver(rdb.NewDynamicResolver())
	}
	keys := keysApart()
	for _, serving := range []fallback.Backend{fallback.Primary, fallback.Local} {
		p.h.Pin(serving)
		for _, key := range keys {
			if err := p.rdb.Set(ctx, key, serving.String(), 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if v, err := p.rdb.MGet(ctx, keys[:]...).Result(); err != nil || len(v) != 3 || v[2] != serving.String() {
			t.Errorf("MGET over three nodes of %v: %v, %v", serving, v, err)
		}
		if n, err := p.rdb.Del(ctx, keys[:]...).Result(); n != 3 || err != nil {
			t.Errorf("DEL over three nodes of %v: %d, %v; want 3", serving, n, err)
		}
		if v, err := p.rdb.FlushAll(ctx).Result(); v != "OK" || err != nil {
			t.Errorf("FLUSHALL of %v: %q, %v", serving, v, err)
		}
	}
	p.h.Unpin()
	p.h.Pin(fallback.Primary)
	p.h.Unpin()
	// One node refuses: what ran on the others is not run again elsewhere.
	for _, key := range keys {
		p.rdb.Set(ctx, key, 1, 0)
		local.Set(ctx, key, 1, 0)
	}
	p.meter.exhaust(p.Nodes[0].Addr())
	if err := p.rdb.FlushAll(ctx).Err(); err == nil || !strings.Contains(err.Error(), "max requests") {
		t.Errorf("FLUSHALL of which a part is refused: %v, want the refusal", err)
	}
	if p.h.Serving() != fallback.Local || local.Get(ctx, keys[2]).Val() != "1" {
		t.Errorf("%v serves; %s on local is %q, want it there", p.h.Serving(), keys[2], local.Get(ctx, keys[2]).Val())
	}
}

// What a cluster answers aside, with its error at the command alone, is seen all the same.
func TestClusterAsidesAreSeen(t *testing.T) {
	t.Parallel()
	local := redistest.StartCluster(t).Client(t)
	p := newClusterPair(t, false, local)
	for _, key := range keysApart() {
		local.Set(ctx, key, 1, 0)
	}
	p.rdb.Ping(ctx)
	for _, c := range []struct {
		name string
		call func() (any, error)
		want any
	}{
		{"DBSIZE", func() (any, error) { return p.rdb.DBSize(ctx).Result() }, int64(3)},
		{"SCRIPT LOAD", func() (any, error) { return p.rdb.ScriptLoad(ctx, "return 1").Result() }, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"},
		{"SCRIPT EXISTS", func() (any, error) { return p.rdb.ScriptExists(ctx, "a").Result() }, []bool{false}},
	} {
		p.meter.exhaust("")
		for range 2 { // the one that trips, and one while local serves
			if v, err := c.call(); fmt.Sprint(v) != fmt.Sprint(c.want) || err != nil {
				t.Errorf("%s: %v, %v; want %v from local", c.name, v, err, c.want)
			}
		}
		if p.h.Serving() != fallback.Local {
			t.Errorf("%s: status %+v", c.name, p.h.Status())
		}
		if sha, ok := c.want.(string); ok && !local.ScriptExists(ctx, sha).Val()[0] {
			t.Errorf("%s: not every node of local has it", c.name)
		}
		p.meter.renew()
		eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
	}
}
