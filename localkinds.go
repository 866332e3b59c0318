package fallback

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// watchConns adds the small hook that watches the connections of local: to the client that makes
// them, which of a cluster or a ring are those of its nodes.
func (h *Hook) watchConns(local redis.UniversalClient) {
	node := func(n *redis.Client) { n.AddHook(localHook{h}) }
	switch local := local.(type) {
	case *redis.ClusterClient:
		local.OnNewNode(node)
	case *redis.Ring:
		for _, shard := range local.GetShardClients() { // they are made with the ring
			node(shard)
		}
		local.OnNewNode(node)
	default:
		local.AddHook(localHook{h})
	}
}

// processLocal has local process a command. The few that a ClusterClient answers from all of its
// nodes, by a method of its own, are answered by that method.
func (h *Hook) processLocal(ctx context.Context, cmd redis.Cmder) error {
	cluster, ok := h.local.(*redis.ClusterClient)
	if !ok {
		return h.local.Process(ctx, cmd)
	}
	args := cmd.Args()
	switch cmd := cmd.(type) {
	case *redis.IntCmd:
		if cmd.Name() == "dbsize" {
			v, err := cluster.DBSize(ctx).Result()
			cmd.SetVal(v)
			return err
		}
	case *redis.StringCmd:
		if script, ok := subcommand(args, "load"); ok && len(script) == 1 {
			v, err := cluster.ScriptLoad(ctx, script[0]).Result()
			cmd.SetVal(v)
			return err
		}
	case *redis.BoolSliceCmd:
		if hashes, ok := subcommand(args, "exists"); ok {
			v, err := cluster.ScriptExists(ctx, hashes...).Result()
			cmd.SetVal(v)
			return err
		}
	}
	return cluster.Process(ctx, cmd)
}

// subcommand returns what follows SCRIPT and the given word.
func subcommand(args []any, word string) ([]string, bool) {
	if len(args) < 3 {
		return nil, false
	}
	rest := make([]string, 0, len(args))
	for _, arg := range args {
		text, ok := arg.(string)
		if !ok {
			return nil, false
		}
		rest = append(rest, text)
	}
	if !strings.EqualFold(rest[0], "script") || !strings.EqualFold(rest[1], word) {
		return nil, false
	}
	return rest[2:], true
}
