package redistest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Group is a master and its replica, watched by one Sentinel, which makes the replica the master
// about two seconds after the master is gone.
type Group struct{ Master, Replica, Sentinel *Server }

// master is the name that the Sentinel knows the group by.
const master = "main"

// StartGroup starts a group whose replica is in step. It ends with the test.
func StartGroup(tb testing.TB) *Group {
	tb.Helper()
	g := &Group{Master: Start(tb, "--repl-diskless-sync-delay", "0")}
	g.Replica = Start(tb, "--replicaof", "127.0.0.1 "+strconv.Itoa(g.Master.Port), "--repl-diskless-sync-delay", "0")
	ctx := context.Background()
	await(tb, g.Replica, "the replica to be in step", func(rdb *redis.Client) bool {
		info, _ := rdb.Info(ctx, "replication").Result()
		return strings.Contains(info, "master_link_status:up")
	})
	conf := filepath.Join(tb.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor %[1]s 127.0.0.1 %[2]d 1\n"+
		"sentinel down-after-milliseconds %[1]s 1000\nsentinel failover-timeout %[1]s 3000\n", master, g.Master.Port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	g.Sentinel = StartConfig(tb, conf, "--sentinel")
	await(tb, g.Sentinel, "Sentinel to know the replica", func(rdb *redis.Client) bool {
		replicas, _ := rdb.Do(ctx, "sentinel", "replicas", master).Slice()
		return len(replicas) == 1
	})
	return g
}

// Options returns options for a client that follows the group's master.
func (g *Group) Options() *redis.FailoverOptions {
	return &redis.FailoverOptions{MasterName: master, SentinelAddrs: []string{g.Sentinel.Addr()}}
}

// Get reads a key of the present master past every client of the test, and "" where there is none.
func (g *Group) Get(tb testing.TB, key string) string {
	tb.Helper()
	rdb := redis.NewFailoverClient(g.Options())
	defer rdb.Close()
	v, err := rdb.Get(context.Background(), key).Result()
	if err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
		tb.Fatalf("reading %s from the group: %v", key, err)
	}
	return v
}
