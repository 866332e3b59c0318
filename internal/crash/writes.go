package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis-fallback/fallback/internal/crash/history"
	"github.com/redis/go-redis/v9"
)

// pushed is what a user's own script does.
const pushed = `return redis.call('RPUSH', KEYS[1], ARGV[1])`

// write makes one write, and how it is sent.
func (c *caller) write(ctx context.Context) (*history.Op, func(redis.Cmdable)) {
	if c.rnd.IntN(60) == 0 {
		return c.to(history.Clash, history.ClashKey, func(r redis.Cmdable, o *history.Op) redis.Cmder {
			return r.RPush(ctx, o.Key, o.Value)
		})
	}
	switch c.rnd.IntN(10) {
	case 0:
		return c.to(history.Incr, c.shared("counter"), func(r redis.Cmdable, o *history.Op) redis.Cmder {
			if o.N == 1 {
				return r.Incr(ctx, o.Key)
			}
			return r.IncrBy(ctx, o.Key, o.N)
		})
	case 1:
		return c.to(history.Add, c.shared(c.oneOf("set", "zset")), func(r redis.Cmdable, o *history.Op) redis.Cmder {
			return c.put(ctx, r, o)
		})
	case 2:
		return c.to(history.Push, c.shared(c.oneOf("list", "text")), func(r redis.Cmdable, o *history.Op) redis.Cmder {
			return c.put(ctx, r, o)
		})
	case 3:
		return c.to(history.Push, "own:list:"+c.name, func(r redis.Cmdable, o *history.Op) redis.Cmder {
			if c.rnd.IntN(4) == 0 {
				return r.Eval(ctx, pushed, []string{o.Key}, o.Value)
			}
			return r.RPush(ctx, o.Key, o.Value)
		})
	case 4:
		return c.to(history.Enqueue, c.shared(c.oneOf("queue", "queue", "bag", "heap")), func(r redis.Cmdable, o *history.Op) redis.Cmder {
			return c.put(ctx, r, o)
		})
	case 5:
		return c.to(history.Field, c.shared("hash"), func(r redis.Cmdable, o *history.Op) redis.Cmder {
			return r.HSet(ctx, o.Key, o.Value, o.Value)
		})
	case 6:
		key := c.shared("stream")
		if c.rnd.IntN(2) == 0 {
			key = "own:stream:" + c.name
		}
		return c.to(history.Entry, key, func(r redis.Cmdable, o *history.Op) redis.Cmder {
			return r.XAdd(ctx, &redis.XAddArgs{Stream: o.Key, Values: []string{"v", o.Value}})
		})
	case 7:
		return c.to(history.Register, fmt.Sprintf("own:register:%s:%d", c.name, c.rnd.IntN(3)), func(r redis.Cmdable, o *history.Op) redis.Cmder {
			return r.Set(ctx, o.Key, o.Seq, 0)
		})
	case 8:
		return c.to(history.Version, "own:version:"+c.name, func(r redis.Cmdable, o *history.Op) redis.Cmder {
			return r.HSet(ctx, o.Key, "v", o.Seq)
		})
	default:
		return c.to(history.Expiring, "expiring:", func(r redis.Cmdable, o *history.Op) redis.Cmder {
			return r.Set(ctx, o.Key, o.Value, time.Duration(o.N)*time.Millisecond)
		})
	}
}

// to makes an operation, with what its kind needs.
func (c *caller) to(kind history.Kind, key string, send func(redis.Cmdable, *history.Op) redis.Cmder) (*history.Op, func(redis.Cmdable)) {
	o := c.op(kind, key)
	switch kind {
	case history.Incr:
		o.Value, o.N = "", 1+c.rnd.Int64N(5)
	case history.Register, history.Version:
		o.Value = ""
	case history.Expiring:
		o.Key, o.N = key+o.Value, c.ttl()
	default:
	}
	return o, func(r redis.Cmdable) {
		cmd := send(r, o)
		c.replies = append(c.replies, func() (string, error) {
			if n, ok := cmd.(*redis.IntCmd); ok {
				return strconv.FormatInt(n.Val(), 10), cmd.Err()
			}
			return "", cmd.Err()
		})
	}
}

// put adds a value to a key of the type that its name says.
func (c *caller) put(ctx context.Context, r redis.Cmdable, o *history.Op) redis.Cmder {
	kind, _, _ := strings.Cut(o.Key, ":")
	switch kind {
	case "set", "bag":
		return r.SAdd(ctx, o.Key, o.Value)
	case "zset", "heap":
		return r.ZAdd(ctx, o.Key, redis.Z{Score: float64(o.Seq), Member: o.Value})
	case "text":
		return r.Append(ctx, o.Key, o.Value)
	default:
		return r.RPush(ctx, o.Key, o.Value)
	}
}
