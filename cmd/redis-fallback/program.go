package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// program is a small web application: sessions, a counter, a job list, a cached page. It knows nothing
// of any fallback.
type program struct {
	rdb    *redis.Client
	prefix string

	calls, failed, visits atomic.Int64
	worst                 atomic.Int64 // ns of the slowest call since it was last taken
	firstError            atomic.Pointer[error]
}

// serve answers requests until ctx ends, from a few goroutines, with a short think time.
func (p *program) serve(ctx context.Context) {
	var wg sync.WaitGroup
	for user := range 8 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				p.request(ctx, user, n)
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	wg.Wait()
}

func (p *program) request(ctx context.Context, user, n int) {
	session := fmt.Sprintf("%ssession:%d", p.prefix, user)
	p.call(ctx, func() error {
		_, err := p.rdb.TxPipelined(ctx, func(tx redis.Pipeliner) error {
			tx.HSet(ctx, session, "page", n)
			tx.Expire(ctx, session, time.Hour)
			return nil
		})
		return err
	})
	p.call(ctx, func() error { return p.rdb.HGetAll(ctx, session).Err() })
	p.call(ctx, func() error {
		err := p.rdb.Incr(ctx, p.prefix+"visits").Err()
		if err == nil {
			p.visits.Add(1)
		}
		return err
	})
	p.call(ctx, func() error {
		_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.RPush(ctx, p.prefix+"jobs", n)
			pipe.LPop(ctx, p.prefix+"jobs")
			return nil
		})
		return err
	})
	p.call(ctx, func() error {
		page := p.prefix + "page:home"
		err := p.rdb.Get(ctx, page).Err()
		if errors.Is(err, redis.Nil) {
			err = p.rdb.Set(ctx, page, "<h1>hello</h1>", time.Second).Err()
		}
		return err
	})
}

func (p *program) call(ctx context.Context, f func() error) {
	began := time.Now()
	err := f()
	if ctx.Err() != nil {
		return
	}
	p.calls.Add(1)
	if err != nil && !errors.Is(err, redis.Nil) {
		p.failed.Add(1)
		p.firstError.CompareAndSwap(nil, &err)
	}
	took := int64(time.Since(began))
	for old := p.worst.Load(); took > old && !p.worst.CompareAndSwap(old, took); old = p.worst.Load() {
	}
}
