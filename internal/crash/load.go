package main

import (
	"context"
	"errors"
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
	case n < 94:
		return c.pop(ctx)
	default:
		return c.session(ctx)
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

func (c *caller) oneOf(all ...string) string { return all[c.rnd.IntN(len(all))] }

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
	return c.finish(before, "")
}

// ttl is short, so that it ends within the run, or long enough to outlive it.
func (c *caller) ttl() int64 {
	if c.rnd.IntN(2) == 0 {
		return 2000 + c.rnd.Int64N(3000)
	}
	return 3_600_000 + c.rnd.Int64N(1000)*1000
}

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
	return limit && !both && kind != history.Register && kind != history.Expiring && kind != history.Session
}
