package fallback_test

import (
	"strconv"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// A slot that moves is followed by the cluster's own client, below the hook: one INCR is one increment
// and no failure, whether the nodes answer ASK or MOVED.
func TestClusterFollowsItsSlots(t *testing.T) {
	t.Parallel()
	for name, nodes := range bothWays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			local := redistest.Start(t)
			p := newClusterPair(t, nodes, local.Client(t))
			keys := keysApart()
			for _, key := range keys {
				p.rdb.Get(ctx, key) // so that the client knows all nodes
			}
			const slot = 3300 // of keys[0]
			want := 0
			incr := func(how string) {
				t.Helper()
				want++
				if n, err := p.rdb.Incr(ctx, keys[0]).Result(); int(n) != want || err != nil {
					t.Fatalf("INCR %s: %d, %v; want %d", how, n, err, want)
				}
				want++
				cmds, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
					pipe.Incr(ctx, keys[1])
					pipe.Incr(ctx, keys[0])
					return nil
				})
				if err != nil || int(cmds[1].(*redis.IntCmd).Val()) != want || int(cmds[0].(*redis.IntCmd).Val()) != (want+1)/3 {
					t.Fatalf("a pipeline %s: %v, %v; want %d", how, err, cmds, want)
				}
				want++
				cmds, err = p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error { return pipe.Incr(ctx, keys[0]).Err() })
				if err != nil || int(cmds[0].(*redis.IntCmd).Val()) != want {
					t.Fatalf("a transaction %s: %v, %v; want %d", how, err, cmds, want)
				}
			}
			from, to := p.Nodes[0].Client(t), p.Nodes[1].Client(t)
			id := func(c *redis.Client) any { return c.Do(ctx, "cluster", "myid").Val() }
			set := func(c *redis.Client, state string, node any) {
				t.Helper()
				if err := c.Do(ctx, "cluster", "setslot", slot, state, node).Err(); err != nil {
					t.Fatal(err)
				}
			}
			set(to, "importing", id(from))
			set(from, "migrating", id(to))
			incr("while the slot moves")
			set(to, "node", id(to))
			set(from, "node", id(to))
			incr("after the slot has moved")
			if n, err := to.Get(ctx, keys[0]).Result(); n != strconv.Itoa(want) || err != nil {
				t.Errorf("%s on the new node is %q, %v; want %d", keys[0], n, err, want)
			}
			if st := p.h.Status(); st.Serving != fallback.Primary || st.Primary.Failed != 0 || st.Lost != 0 {
				t.Errorf("status %+v", st)
			}
		})
	}
}
