package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis-fallback/fallback/internal/crash/history"
	"github.com/redis/go-redis/v9"
)

// swap is a compare-and-set. It says which server it ran on: that one alone knows.
func (c *caller) swap(ctx context.Context) error {
	key := c.shared("swap")
	for range 3 {
		c.pending, c.replies = nil, nil
		o := c.op(history.Swap, key)
		c.pending = []*history.Op{o}
		if err := c.log.Begin(c.pending); err != nil {
			return err
		}
		before := c.h.Status()
		var server, old string
		err := c.rdb.Watch(ctx, func(tx *redis.Tx) error {
			var err error
			if server, err = tx.Get(ctx, history.ServerKey).Result(); err != nil {
				return err
			}
			if old, err = tx.Get(ctx, key).Result(); err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Set(ctx, key, o.Value, 0)
				pipe.SAdd(ctx, history.SwapsDone, o.Value)
				return nil
			})
			return err
		}, key)
		c.replies = []func() (string, error){func() (string, error) { return old, err }}
		if err := c.finish(before, server); err != nil {
			return err
		}
		if !errors.Is(err, redis.TxFailedErr) {
			return nil
		}
	}
	return nil
}

// pop takes from a queue, alone or in a transaction, where the server says which one it is.
func (c *caller) pop(ctx context.Context) error {
	c.pending, c.replies = nil, nil
	o := c.op(history.Pop, c.shared(c.oneOf("queue", "queue", "bag", "heap")))
	o.Value = ""
	c.pending = []*history.Op{o}
	if err := c.log.Begin(c.pending); err != nil {
		return err
	}
	before := c.h.Status()
	var value func() (string, error)
	var server string
	if c.rnd.IntN(2) == 0 {
		value = c.take(ctx, c.rdb, o.Key, true)
	} else {
		var who *redis.StringCmd
		_, _ = c.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			value, who = c.take(ctx, pipe, o.Key, false), pipe.Get(ctx, history.ServerKey)
			return nil
		})
		server = who.Val()
	}
	c.replies = []func() (string, error){func() (string, error) {
		v, err := value()
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return v, err
	}}
	return c.finish(before, server)
}

// take pops from a queue of either kind.
func (c *caller) take(ctx context.Context, r redis.Cmdable, key string, mayWait bool) func() (string, error) {
	kind, _, _ := strings.Cut(key, ":")
	switch {
	case kind == "bag":
		return r.SPop(ctx, key).Result
	case kind == "heap":
		cmd := r.ZPopMin(ctx, key)
		return func() (string, error) {
			if len(cmd.Val()) == 0 {
				return "", cmd.Err()
			}
			member, _ := cmd.Val()[0].Member.(string)
			return member, cmd.Err()
		}
	case mayWait && c.rnd.IntN(2) == 0:
		cmd := r.BLPop(ctx, time.Second, key)
		return func() (string, error) {
			if len(cmd.Val()) < 2 {
				return "", cmd.Err()
			}
			return cmd.Val()[1], cmd.Err()
		}
	case c.rnd.IntN(2) == 0:
		return r.RPop(ctx, key).Result
	default:
		return r.LPop(ctx, key).Result
	}
}

// session makes a key that expires, a hash or a counter, and touches it.
func (c *caller) session(ctx context.Context) error {
	counter := c.rnd.IntN(2) == 0
	o := c.op(history.Session, "")
	o.Key, o.N = "session:"+o.Value, c.ttl()
	if counter {
		o.Key = "meter:" + o.Value
	}
	ttl := time.Duration(o.N) * time.Millisecond
	err := c.only(o, func() error {
		if counter {
			return c.rdb.Set(ctx, o.Key, 0, ttl).Err()
		}
		_, err := c.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.HSet(ctx, o.Key, o.Value, "1")
			pipe.PExpire(ctx, o.Key, ttl)
			return nil
		})
		return err
	})
	for range c.rnd.IntN(3) {
		if err != nil {
			return err
		}
		touch := c.op(history.Touch, o.Key)
		err = c.only(touch, func() error {
			if counter {
				return c.rdb.Incr(ctx, touch.Key).Err()
			}
			return c.rdb.HSet(ctx, touch.Key, touch.Value, "1").Err()
		})
	}
	return err
}

// only does one operation. Its error is one of the log.
func (c *caller) only(o *history.Op, do func() error) error {
	c.pending = []*history.Op{o}
	o.Group = o.Seq
	if err := c.log.Begin(c.pending); err != nil {
		return err
	}
	before := c.h.Status()
	err := do()
	c.replies = []func() (string, error){func() (string, error) { return "", err }}
	return c.finish(before, "")
}
