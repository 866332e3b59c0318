package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Cluster is a Redis Cluster of three masters without replicas.
type Cluster struct{ Nodes []*Server }

const slots = 16384

// StartCluster starts a cluster whose slots are all served. It ends with the test.
func StartCluster(tb testing.TB, args ...string) *Cluster {
	tb.Helper()
	c := &Cluster{}
	for range 3 {
		c.Nodes = append(c.Nodes, Start(tb, append([]string{
			"--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
			"--cluster-port", strconv.Itoa(freePort(tb)), // the usual one may lie beyond the last port
		}, args...)...))
	}
	ctx := context.Background()
	for i, n := range c.Nodes {
		rdb := redis.NewClient(n.Options())
		from, to := i*slots/3, (i+1)*slots/3-1
		err := errors.Join(
			rdb.ClusterAddSlotsRange(ctx, from, to).Err(),
			rdb.Do(ctx, "cluster", "set-config-epoch", i+1).Err(),
		)
		for _, other := range c.Nodes[:i] {
			err = errors.Join(err, rdb.Do(ctx, "cluster", "meet", "127.0.0.1", other.Port, other.arg("--cluster-port")).Err())
		}
		_ = rdb.Close()
		if err != nil {
			tb.Fatal(err)
		}
	}
	c.Wait(tb)
	return c
}

// Wait waits until every node serves and knows the others.
func (c *Cluster) Wait(tb testing.TB) {
	tb.Helper()
	for _, n := range c.Nodes {
		await(tb, n, "the cluster to serve", func(rdb *redis.Client) bool {
			info, _ := rdb.ClusterInfo(context.Background()).Result()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_size:3")
		})
	}
}

// Kill ends all nodes.
func (c *Cluster) Kill() {
	for _, n := range c.Nodes {
		n.Kill()
	}
}

// Restart starts all nodes again; Wait waits until they serve.
func (c *Cluster) Restart(tb testing.TB) {
	tb.Helper()
	for _, n := range c.Nodes {
		n.Restart(tb)
	}
}

// Options returns options for a client of the cluster.
func (c *Cluster) Options() *redis.ClusterOptions {
	o := &redis.ClusterOptions{
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	for _, n := range c.Nodes {
		o.Addrs = append(o.Addrs, n.Addr())
	}
	return o
}

// Client returns a client of the cluster that is closed with the test.
func (c *Cluster) Client(tb testing.TB) *redis.ClusterClient {
	tb.Helper()
	rdb := redis.NewClusterClient(c.Options())
	tb.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// Get reads a key past every client of the test, and "" where there is none.
func (c *Cluster) Get(tb testing.TB, key string) string {
	tb.Helper()
	rdb := redis.NewClusterClient(c.Options())
	defer rdb.Close()
	v, err := rdb.Get(context.Background(), key).Result()
	if err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
		tb.Fatalf("reading %s from the cluster: %v", key, err)
	}
	return v
}

// arg returns the value of a server's argument.
func (s *Server) arg(name string) string {
	for i, arg := range s.args[:len(s.args)-1] {
		if arg == name {
			return s.args[i+1]
		}
	}
	return ""
}

func freePort(tb testing.TB) int {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// await asks a server until it is as it should be.
func await(tb testing.TB, s *Server, what string, ok func(*redis.Client) bool) {
	tb.Helper()
	rdb := redis.NewClient(s.Options())
	defer rdb.Close()
	for deadline := time.Now().Add(20 * time.Second); !ok(rdb); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatal(fmt.Errorf("waiting for %s at %s: not within 20 s", what, s.Addr()))
		}
	}
}
