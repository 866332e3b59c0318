package fallback_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// content is what a key holds.
type content struct {
	value []string
	left  time.Duration // below 0: it does not expire
}

// contents reads all keys of a database of a server.
func contents(t *testing.T, rdb *redis.Client, db int) map[string]content {
	t.Helper()
	conn := rdb.Conn()
	defer func() {
		conn.Select(ctx, 0)
		_ = conn.Close()
	}()
	if err := conn.Select(ctx, db).Err(); err != nil {
		t.Fatal(err)
	}
	all := map[string]content{}
	for _, key := range conn.Keys(ctx, "*").Val() {
		if strings.HasPrefix(key, "fallback:") {
			continue // ours: the position on the primary
		}
		c := content{left: conn.PTTL(ctx, key).Val()}
		c.value = append(c.value, fmt.Sprint(conn.Do(ctx, "debug", "digest-value", key).Val()))
		switch conn.Type(ctx, key).Val() {
		case "string":
			c.value = append(c.value, conn.Get(ctx, key).Val())
		case "stream":
			c.value = append(c.value, fmt.Sprint(conn.XRange(ctx, key, "-", "+").Val()))
			for _, g := range conn.XInfoGroups(ctx, key).Val() {
				c.value = append(c.value, fmt.Sprint(g.Name, g.Consumers, g.Pending, g.LastDeliveredID))
				for _, p := range conn.XPendingExt(ctx, &redis.XPendingExtArgs{
					Stream: key, Group: g.Name, Start: "-", End: "+", Count: 100,
				}).Val() {
					c.value = append(c.value, fmt.Sprint(p.ID, p.Consumer, p.RetryCount))
				}
			}
		case "list":
			c.value = append(c.value, conn.LRange(ctx, key, 0, -1).Val()...)
		case "set":
			c.value = append(c.value, fmt.Sprint(conn.SCard(ctx, key).Val()))
		case "zset":
			c.value = append(c.value, fmt.Sprint(conn.ZRangeWithScores(ctx, key, 0, -1).Val()))
		}
		all[key] = c
	}
	return all
}
