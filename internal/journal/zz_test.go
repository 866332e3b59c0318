package journal_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

type timer struct {
	mu sync.Mutex
	m  map[string]time.Duration
	n  map[string]int
}

func (s *timer) DialHook(next redis.DialHook) redis.DialHook { return next }
func (s *timer) add(n string, d time.Duration) {
	s.mu.Lock()
	s.m[n] += d
	s.n[n]++
	s.mu.Unlock()
}

func (s *timer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		b := time.Now()
		err := next(ctx, cmd)
		k := cmd.Name()
		if k == "evalsha" {
			k += fmt.Sprint(len(cmd.Args()))
		}
		s.add(k, time.Since(b))
		return err
	}
}

func (s *timer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		b := time.Now()
		err := next(ctx, cmds)
		s.add("pipe "+cmds[0].Name(), time.Since(b))
		return err
	}
}

func TestZZ(b *testing.T) {
	r := newRig(b)
	const N = 500000
	for from := 0; from < N; from += 1000 {
		pipe := r.store.Client().Pipeline()
		for i := from; i < min(from+1000, N); i++ {
			e := journal.Entry{Kind: journal.KindWrite, Commands: [][]string{{"incr", fmt.Sprintf("key:%07d", i)}}}
			pipe.XAdd(r.ctx, &redis.XAddArgs{Stream: "fallback:test:journal", Values: e.Fields()})
		}
		_, err := pipe.Exec(r.ctx)
		r.check(err)
	}
	d := r.drain()
	tm := &timer{m: map[string]time.Duration{}, n: map[string]int{}}
	d.Primary.AddHook(tm)
	d.Store.Client().AddHook(tm)
	t0 := time.Now()
	r.deliver(d)
	fmt.Println("total", time.Since(t0))
	for k, v := range tm.m {
		fmt.Println(k, v, tm.n[k])
	}
}
