package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/crash/history"
	"github.com/redis/go-redis/v9"
)

// patience bounds one call: a caller that waits for ever proves nothing.
const patience = 10 * time.Second

// caller is one goroutine of an application. It sends its next operation when it has the reply of the
// one before.
type caller struct {
	name string
	rdb  *redis.Client
	h    *fallback.Hook
	log  *history.Log
	rnd  *rand.Rand
	seq  int

	pending []*history.Op // of the batch on its way
	replies []func() (string, error)
}

// run calls until stop is closed, with pauses of that length on average.
func (c *caller) run(stop <-chan struct{}, pause time.Duration) error {
	for {
		wait := time.NewTimer(time.Duration(c.rnd.ExpFloat64() * float64(pause)))
		select {
		case <-stop:
			wait.Stop()
			return nil
		case <-wait.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := c.next(ctx)
		cancel()
		if err != nil {
			return err
		}
	}
}

// next does something. Its error is one of the log alone.
func (c *caller) next(ctx context.Context) error {
	switch n := c.rnd.IntN(100); {
	case n < 30:
		return c.send(ctx, history.Alone, 1)
	case n < 62:
		return c.send(ctx, history.Pipeline, 5+c.rnd.IntN(20))
	case n < 77:
		return c.send(ctx, history.Transaction, 2+c.rnd.IntN(6))
	case n < 85:
		return c.swap(ctx)
	case n < 93:
		return c.pop(ctx)
	case n < 98:
		return c.session(ctx)
	default:
		return c.clash(ctx)
	}
}

// op makes the next operation.
func (c *caller) op(kind history.Kind, key string) *history.Op {
	c.seq++
	o := &history.Op{
		By: c.name, Seq: c.seq, Group: c.seq, Batch: history.Alone, Kind: kind, Key: key,
		Value: history.Value(c.name, c.seq), Begin: time.Now().UnixMilli(), State: history.Open,
	}
	if len(c.pending) > 0 {
		o.Group = c.pending[0].Group
	}
	return o
}

// shared returns a key that all processes write to.
func (c *caller) shared(kind string) string { return kind + ":" + strconv.Itoa(c.rnd.IntN(6)) }

// send does n random writes in one go.
func (c *caller) send(ctx context.Context, batch history.Batch, n int) error {
	var via redis.Cmdable = c.rdb
	var pipe redis.Pipeliner
	switch batch {
	case history.Pipeline:
		pipe = c.rdb.Pipeline()
	case history.Transaction:
		pipe = c.rdb.TxPipeline()
	default:
	}
	if pipe != nil {
		via = pipe
	}
	c.pending, c.replies = nil, nil
	var later []func(redis.Cmdable)
	for range n {
		o, do := c.write(ctx)
		o.Batch = batch
		c.pending = append(c.pending, o)
		later = append(later, do)
	}
	if err := c.log.Begin(c.pending); err != nil {
		return err
	}
	before := c.h.Status()
	for _, do := range later {
		do(via)
	}
	if pipe != nil {
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	return c.done(before)
}

// write makes one write, and how it is sent.
func (c *caller) write(ctx context.Context) (*history.Op, func(redis.Cmdable)) {
	then := func(cmd redis.Cmder) {
		c.replies = append(c.replies, func() (string, error) {
			if n, ok := cmd.(*redis.IntCmd); ok {
				return strconv.FormatInt(n.Val(), 10), cmd.Err()
			}
			return "", cmd.Err()
		})
	}
	var o *history.Op
	var do func(redis.Cmdable)
	switch c.rnd.IntN(10) {
	case 0:
		o = c.op(history.Incr, c.shared("counter"))
		o.Value, o.N = "", 1+c.rnd.Int64N(5)
		do = func(r redis.Cmdable) {
			if o.N == 1 {
				then(r.Incr(ctx, o.Key))
				return
			}
			then(r.IncrBy(ctx, o.Key, o.N))
		}
	case 1:
		o = c.op(history.Add, c.shared("set"))
		do = func(r redis.Cmdable) { then(r.SAdd(ctx, o.Key, o.Value)) }
	case 2:
		o = c.op(history.Push, c.shared("list"))
		do = func(r redis.Cmdable) { then(r.RPush(ctx, o.Key, o.Value)) }
	case 3:
		o = c.op(history.Push, "own:list:"+c.name)
		do = func(r redis.Cmdable) { then(r.RPush(ctx, o.Key, o.Value)) }
	case 4:
		o = c.op(history.Enqueue, c.shared("queue"))
		do = func(r redis.Cmdable) { then(r.RPush(ctx, o.Key, o.Value)) }
	case 5:
		o = c.op(history.Field, c.shared("hash"))
		do = func(r redis.Cmdable) { then(r.HSet(ctx, o.Key, o.Value, o.Value)) }
	case 6:
		key := c.shared("stream")
		if c.rnd.IntN(2) == 0 {
			key = "own:stream:" + c.name
		}
		o = c.op(history.Entry, key)
		do = func(r redis.Cmdable) {
			then(r.XAdd(ctx, &redis.XAddArgs{Stream: o.Key, Values: []string{"v", o.Value}}))
		}
	case 7:
		o = c.op(history.Register, fmt.Sprintf("own:register:%s:%d", c.name, c.rnd.IntN(3)))
		o.Value = ""
		do = func(r redis.Cmdable) { then(r.Set(ctx, o.Key, o.Seq, 0)) }
	case 8:
		o = c.op(history.Version, "own:version:"+c.name)
		o.Value = ""
		do = func(r redis.Cmdable) { then(r.HSet(ctx, o.Key, "v", o.Seq)) }
	default:
		o = c.op(history.Expiring, "")
		o.Key, o.N = "expiring:"+o.Value, c.ttl()
		do = func(r redis.Cmdable) { then(r.Set(ctx, o.Key, o.Value, time.Duration(o.N)*time.Millisecond)) }
	}
	return o, do
}

// ttl is short, so that it ends within the run, or long enough to outlive it.
func (c *caller) ttl() int64 {
	if c.rnd.IntN(2) == 0 {
		return 2000 + c.rnd.Int64N(3000)
	}
	return 3_600_000 + c.rnd.Int64N(1000)*1000
}

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

// pop takes from a queue, in one of three ways. In a transaction the server says which one it is.
func (c *caller) pop(ctx context.Context) error {
	c.pending, c.replies = nil, nil
	o := c.op(history.Pop, c.shared("queue"))
	o.Value = ""
	c.pending = []*history.Op{o}
	if err := c.log.Begin(c.pending); err != nil {
		return err
	}
	before := c.h.Status()
	var value, server string
	var err error
	switch c.rnd.IntN(3) {
	case 0:
		value, err = c.rdb.LPop(ctx, o.Key).Result()
	case 1:
		var both []string
		if both, err = c.rdb.BLPop(ctx, time.Second, o.Key).Result(); len(both) == 2 {
			value = both[1]
		}
	default:
		var popped, who *redis.StringCmd
		_, err = c.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			popped, who = pipe.LPop(ctx, o.Key), pipe.Get(ctx, history.ServerKey)
			return nil
		})
		value, server = popped.Val(), who.Val()
	}
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	c.replies = []func() (string, error){func() (string, error) { return value, err }}
	return c.finish(before, server)
}

// session makes a hash that expires, and touches it.
func (c *caller) session(ctx context.Context) error {
	c.pending, c.replies = nil, nil
	o := c.op(history.Session, "")
	o.Key, o.N = "session:"+o.Value, c.ttl()
	c.pending = []*history.Op{o}
	if err := c.log.Begin(c.pending); err != nil {
		return err
	}
	before := c.h.Status()
	_, err := c.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.HSet(ctx, o.Key, o.Value, "1")
		pipe.PExpire(ctx, o.Key, time.Duration(o.N)*time.Millisecond)
		return nil
	})
	c.replies = []func() (string, error){func() (string, error) { return "", err }}
	if err := c.done(before); err != nil {
		return err
	}
	for range c.rnd.IntN(3) {
		c.pending, c.replies = nil, nil
		touch := c.op(history.Touch, o.Key)
		c.pending = []*history.Op{touch}
		if err := c.log.Begin(c.pending); err != nil {
			return err
		}
		before := c.h.Status()
		err := c.rdb.HSet(ctx, touch.Key, touch.Value, "1").Err()
		c.replies = []func() (string, error){func() (string, error) { return "", err }}
		if err := c.done(before); err != nil {
			return err
		}
	}
	return nil
}

// clash pushes to what is a string on the primary: what local has acknowledged cannot be delivered.
func (c *caller) clash(ctx context.Context) error {
	c.pending, c.replies = nil, nil
	o := c.op(history.Clash, history.ClashKey)
	c.pending = []*history.Op{o}
	if err := c.log.Begin(c.pending); err != nil {
		return err
	}
	before := c.h.Status()
	err := c.rdb.RPush(ctx, o.Key, o.Value).Err()
	c.replies = []func() (string, error){func() (string, error) { return "", err }}
	return c.done(before)
}

func (c *caller) done(before fallback.Status) error { return c.finish(before, "") }

// finish writes down what became of the batch. Who answered is known if the server has said it, or if
// one and the same served before and after.
func (c *caller) finish(before fallback.Status, server string) error {
	after := c.h.Status()
	now := time.Now().UnixMilli()
	for i, o := range c.pending {
		reply, err := c.replies[i]()
		o.End, o.State, o.Reply, o.Server, o.Epoch = now, history.Acked, reply, history.Either, -1
		if after.Epoch == before.Epoch {
			o.Epoch, o.Server = int64(after.Epoch), history.Primary
			if after.Serving == fallback.Local {
				o.Server = history.Local
			}
		}
		switch server {
		case "primary":
			o.Server = history.Primary
		case "local":
			o.Server = history.Local
		}
		if err != nil {
			o.State, o.Reply = history.Failed, strings.ReplaceAll(err.Error(), "\t", " ")
			if hasNotRun(o.Kind, err) {
				o.State = history.Refused
			}
		}
	}
	return c.log.End(c.pending)
}

// hasNotRun reports an error that promises that nothing was written. A limit error of a command that is
// harmless twice does not: an attempt before may have been lost. Nor does one that comes with local's.
func hasNotRun(kind history.Kind, err error) bool {
	if errors.Is(err, redis.TxFailedErr) || strings.HasPrefix(err.Error(), "WRONGTYPE") {
		return true
	}
	_, limit := errors.AsType[*fallback.LimitError](err)
	_, both := errors.AsType[*fallback.Error](err)
	return limit && !both && kind != history.Register && kind != history.Expiring
}
