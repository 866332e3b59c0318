package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

var noCtx = context.Background()

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

const workers = 64

// load runs call in 64 goroutines for a while and returns calls per second.
func load(span time.Duration, call func() error) (float64, error) {
	var n atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	began := time.Now()
	for range workers {
		wg.Go(func() {
			mine := 0
			for time.Since(began) < span {
				if err := call(); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				mine++
			}
			n.Add(int64(mine))
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(n.Load()) / time.Since(began).Seconds(), nil
}

func overhead(b *bench) error {
	p, err := start()
	if err != nil {
		return err
	}
	defer p.stop()
	head("64 goroutines, loopback", "bare, calls/s", "with hook / bare", "95 %")
	pipeline := func(c *redis.Client) func() error {
		return func() error {
			_, err := c.Pipelined(noCtx, func(pipe redis.Pipeliner) error {
				for range 100 {
					pipe.Set(noCtx, "k", "v", 0)
				}
				return nil
			})
			return err
		}
	}
	get := func(c *redis.Client) func() error { return func() error { return c.Get(noCtx, "k").Err() } }
	set := func(c *redis.Client) func() error { return func() error { return c.Set(noCtx, "k", "v", 0).Err() } }
	incr := func(c *redis.Client) func() error { return func() error { return c.Incr(noCtx, "n").Err() } }
	for _, c := range []*redis.Client{p.bare, p.onLocal} {
		if err := c.Set(noCtx, "k", "v", 0).Err(); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		name string
		call func(*redis.Client) func() error
	}{{"GET", get}, {"SET", set}, {"INCR", incr}, {"pipeline of 100 SET", pipeline}} {
		if err := b.compare(c.name, c.call(p.bare), c.call(p.hooked)); err != nil {
			return err
		}
	}
	if err := p.h.Pin(fallback.Local); err != nil {
		return err
	}
	return b.compare("GET while local serves, bare client on local", get(p.onLocal), get(p.hooked))
}

// compare runs the pairs, each in the other order than the one before.
func (b *bench) compare(name string, bare, hooked func() error) error {
	if !strings.Contains(name, b.only) {
		return nil
	}
	var all []float64
	var sum float64
	if _, err := load(b.span, bare); err != nil { // warm up
		return err
	}
	if _, err := load(b.span, hooked); err != nil {
		return err
	}
	for i := range b.pairs {
		var rate [2]float64
		for j := range 2 {
			k := (i + j) % 2
			r, err := load(b.span, []func() error{bare, hooked}[k])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			rate[k] = r
		}
		all = append(all, rate[1]/rate[0])
		sum += rate[0]
	}
	m, low, high := ratios(all)
	row(name, fmt.Sprintf("%.0f", sum/float64(b.pairs)), fmt.Sprintf("%.3f", m), fmt.Sprintf("%.3f-%.3f", low, high))
	return nil
}
