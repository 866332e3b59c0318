package fallback_test

import (
	"context"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// A cluster for the primary: the hook also goes to the clients of its nodes.
func ExampleHook_AddToCluster() {
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"redis-1.example.com:6379"}})
	local := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	h := fallback.New(local)
	h.AddToCluster(rdb)
	defer h.Shutdown(context.Background())
}
