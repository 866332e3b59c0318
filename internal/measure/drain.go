package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// ground is two bare servers, of which local holds a journal.
type ground struct {
	dirs           []string
	servers        [2]*redistest.Server
	local, primary *redis.Client
	drain          *journal.Drain
}

func newGround() (*ground, error) {
	g := &ground{}
	for i := range g.servers {
		dir, err := os.MkdirTemp("", "measure")
		if err != nil {
			return nil, err
		}
		g.dirs = append(g.dirs, dir)
		if g.servers[i], err = redistest.Launch(dir); err != nil {
			return nil, err
		}
	}
	o := g.servers[0].Options()
	o.DB = journal.DefaultDatabase
	g.local = redis.NewClient(o)
	o = g.servers[1].Options()
	o.MaxRetries, o.ReadTimeout = -1, 30*time.Second
	g.primary = redis.NewClient(o)
	o = g.servers[1].Options()
	o.MaxRetries, o.ReadTimeout, o.Protocol = -1, 30*time.Second, 2 // as the hook's client for a drain has it
	g.drain = &journal.Drain{Store: journal.New(g.local, "measure", journal.DefaultDatabase), Primary: redis.NewClient(o), ID: "measure"}
	return g, nil
}

func (g *ground) stop() {
	_ = g.local.Close()
	_ = g.primary.Close()
	_ = g.drain.Primary.Close()
	for i, s := range g.servers {
		s.Kill()
		_ = os.RemoveAll(g.dirs[i])
	}
}

// fill empties both servers, and writes a journal of n entries that increment some keys in turn.
func (g *ground) fill(n, keys int) error {
	ctx := context.Background()
	if err := g.primary.FlushAll(ctx).Err(); err != nil {
		return err
	}
	if err := g.local.FlushAll(ctx).Err(); err != nil {
		return err
	}
	v, err := g.drain.Store.Open(ctx, "")
	if err != nil {
		return err
	}
	if _, _, err := g.drain.Store.Change(ctx, v.Record, journal.Change{What: journal.Trip}); err != nil {
		return err
	}
	return g.write(0, n, keys)
}

const journalKey = "fallback:measure:journal"

func (g *ground) write(from, to, keys int) error {
	ctx := context.Background()
	for from < to {
		pipe := g.local.Pipeline()
		for range 1000 {
			if from == to {
				break
			}
			e := journal.Entry{Kind: journal.KindWrite, Commands: [][]string{{"incr", key(from % keys)}}}
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: journalKey, Values: e.Fields()})
			from++
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

func key(i int) string { return fmt.Sprintf("key:%07d", i) }

// beside measures the delivery of entries of distinct keys, which nothing folds, beside the same commands
// in raw pipelines.
func (g *ground) beside(pairs, depth int) error {
	const n = 50_000
	ctx := context.Background()
	raw := func() error {
		for from := 0; from < n; from += depth {
			pipe := g.primary.Pipeline()
			for j := range depth {
				pipe.Incr(ctx, key(from+j))
			}
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	drain := func() error {
		p, err := g.drain.Deliver(ctx, journal.Options{})
		if err == nil && p.Entries != n {
			err = fmt.Errorf("%d entries", p.Entries)
		}
		return err
	}
	var raws, drains, r []float64
	rate := func(rates *[]float64, run func() error) error {
		if err := g.fill(n, n); err != nil {
			return err
		}
		begin := time.Now()
		err := run()
		*rates = append(*rates, n/time.Since(begin).Seconds())
		return err
	}
	for i := range pairs {
		var err error
		if i%2 == 0 {
			err = errors.Join(rate(&raws, raw), rate(&drains, drain))
		} else {
			err = errors.Join(rate(&drains, drain), rate(&raws, raw))
		}
		if err != nil {
			return err
		}
		r = append(r, drains[i]/raws[i])
	}
	median, low, high := ratios(r)
	fast, _, _ := ratios(raws)
	slow, _, _ := ratios(drains)
	row(depth, fmt.Sprintf("%.0f", fast), fmt.Sprintf("%.0f", slow), fmt.Sprintf("%.2f", median), fmt.Sprintf("%.2f-%.2f", low, high))
	return nil
}

// drained measures the drain.
func drained(b *bench) error {
	g, err := newGround()
	if err != nil {
		return err
	}
	defer g.stop()
	ctx := context.Background()
	head("raw pipelines of", "commands/s in them", "entries/s of the drain", "ratio", "95 %")
	for _, depth := range []int{100, 1000} {
		if err := g.beside(b.pairs, depth); err != nil {
			return err
		}
	}

	fmt.Println()
	head("INCRs on 1,000 keys", "bytes on local", "bytes each", "commands to deliver them", "entries/s")
	for _, n := range []int{1, 10, 100_000, 1_000_000} {
		if err := g.fill(n, 1000); err != nil {
			return err
		}
		bytes, err := g.local.Do(ctx, "memory", "usage", journalKey, "samples", "0").Int64()
		if err != nil {
			return err
		}
		begin := time.Now()
		p, err := g.drain.Deliver(ctx, journal.Options{})
		if err != nil {
			return err
		}
		row(n, bytes, fmt.Sprintf("%.1f", float64(bytes)/float64(n)), p.Commands, fmt.Sprintf("%.0f", float64(n)/time.Since(begin).Seconds()))
	}
	return nil
}
