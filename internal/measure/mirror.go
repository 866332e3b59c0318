package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// mirrorKeys is how many there are of each type.
const mirrorKeys = 10_000

// How the client reaches the primary, as columns of a measurement.
const (
	withMirror = iota
	withoutMirror
	bareClient
	ways
)

// healthy is an application on a primary that serves, in three ways.
type healthy struct {
	*program
	clients [ways]*redis.Client
	hooks   [ways]*fallback.Hook // nil for the bare client
}

func newHealthy() (*healthy, error) {
	p, err := start()
	if err != nil {
		return nil, err
	}
	h := &healthy{program: p}
	for way := range ways {
		o := p.primary.Options()
		o.PoolSize = workers // no call waits for another's connection
		h.clients[way] = redis.NewClient(o)
		var c fallback.MirrorConfig
		switch way {
		case bareClient:
			continue
		case withoutMirror:
			c.Bytes = -1
		}
		h.hooks[way] = fallback.New(redis.NewClient(p.local.Options()), fallback.WithLogger(slog.New(slog.DiscardHandler)),
			fallback.WithName(fmt.Sprint("measure", way)), fallback.WithMirror(c))
		h.clients[way].AddHook(h.hooks[way])
	}
	return h, h.fill()
}

func (h *healthy) stop() {
	for way, c := range h.clients {
		if h.hooks[way] != nil {
			_ = h.hooks[way].Shutdown(noCtx)
		}
		_ = c.Close()
	}
	h.program.stop()
}

// fill makes all keys, on local as well.
func (h *healthy) fill() error {
	c := h.clients[withMirror]
	for h.hooks[withMirror].Status().Mirror.Mirrored == 0 { // until a write of this process is the mirror's
		if err := c.Set(noCtx, "first", 1, 0).Err(); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	err := pipelines(c, mirrorKeys, func(pipe redis.Pipeliner, i int) {
		pipe.Set(noCtx, name("s", i), value, 0)
		pipe.Set(noCtx, name("n", i), 0, 0)
		pipe.Del(noCtx, name("h", i)) // what follows is then all of it
		pipe.HSet(noCtx, name("h", i), "field", value, "other", value)
	})
	h.quiet()
	return err
}

// quiet waits until local has everything.
func (h *healthy) quiet() {
	for h.hooks[withMirror].Status().Mirror.Lag > 0 {
		time.Sleep(time.Millisecond)
	}
}

var value = strings.Repeat("v", 100)

func name(kind string, i int) string { return kind + strconv.Itoa(i) }

// write is one of 100 bytes, an increment or a field, on one of many keys.
func (h *healthy) write(way int) func(int) error {
	c := h.clients[way]
	return func(i int) error {
		k := i / 4 % mirrorKeys
		switch i % 4 {
		case 0:
			return c.Incr(noCtx, name("n", k)).Err()
		case 1:
			return c.HSet(noCtx, name("h", k), "field", value).Err()
		default:
			return c.Set(noCtx, name("s", k), value, 0).Err()
		}
	}
}

func (h *healthy) read(way int) func(int) error {
	c := h.clients[way]
	return func(i int) error { return c.Get(noCtx, name("s", i%mirrorKeys)).Err() }
}

// mirrored measures what the mirror costs while the primary serves.
func mirrored(b *bench) error {
	h, err := newHealthy()
	if err != nil {
		return err
	}
	defer h.stop()
	most := [ways]float64{}
	head("64 goroutines, as fast as they can", "writes/s")
	for way, what := range []string{"hook with the mirror", "hook without it", "bare client"} {
		i := 0
		var mu sync.Mutex
		write := h.write(way)
		if most[way], err = load(3*b.span, func() error {
			mu.Lock()
			i++
			n := i
			mu.Unlock()
			return write(n * 7919)
		}); err != nil {
			return err
		}
		h.quiet()
		row(what, fmt.Sprintf("%.0f", most[way]))
	}
	st := h.hooks[withMirror].Status().Mirror
	fmt.Printf("\nof %d operations for local %d were dropped\n\n", st.Mirrored+st.Dropped, st.Dropped)
	head("at a rate of", "calls/s", "beside", "p50", "p50 with the mirror", "ratio", "95 %", "p99", "p99 with the mirror", "ratio", "95 %")
	for _, c := range []struct {
		what string
		rate float64
		call func(way int) func(int) error
	}{
		{"GET, half of what the mirror can take", most[withMirror] / 2, h.read},
		{"writes, half of what the mirror can take", most[withMirror] / 2, h.write},
		{"writes, half of what the bare client can do", most[bareClient] / 2, h.write},
	} {
		if !strings.Contains(c.what, b.only) {
			continue
		}
		if b.rate > 0 {
			c.rate = b.rate
		}
		if err := h.pairs(b, c.what, c.rate, c.call); err != nil {
			return err
		}
	}
	return nil
}

// pairs measures one kind of call in all three ways, in turn.
func (h *healthy) pairs(b *bench, what string, rate float64, call func(way int) func(int) error) error {
	var all [ways][]sample
	for i := range b.pairs {
		for j := range ways {
			way := (i + j) % ways
			if i/ways%2 == 1 {
				way = ways - 1 - way
			}
			s, err := h.half(b.span, rate, uint64(i), way, call(way)) //nolint:gosec // a seed
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			all[way] = append(all[way], s)
		}
	}
	for way, name := range map[int]string{withoutMirror: "hook without the mirror", bareClient: "bare client"} {
		cells := []any{what, fmt.Sprintf("%.0f", rate), name}
		for _, of := range []func(sample) time.Duration{func(s sample) time.Duration { return s.p50 }, func(s sample) time.Duration { return s.p99 }} {
			var r, x, y []float64
			for i := range all[way] {
				a, b := float64(of(all[way][i])), float64(of(all[withMirror][i]))
				r, x, y = append(r, b/a), append(x, a), append(y, b)
			}
			m, low, high := ratios(r)
			without, _, _ := ratios(x)
			with, _, _ := ratios(y)
			cells = append(cells, time.Duration(without).Round(time.Microsecond), time.Duration(with).Round(time.Microsecond),
				fmt.Sprintf("%.3f", m), fmt.Sprintf("%.3f-%.3f", low, high))
		}
		row(cells...)
	}
	h.costs(all)
	return nil
}

// costs prints what one call costs, in medians, and the lag.
func (h *healthy) costs(all [ways][]sample) {
	middle := func(way int, of func(sample) float64) float64 {
		var v []float64
		for _, s := range all[way] {
			v = append(v, of(s))
		}
		m, _, _ := ratios(v)
		return m
	}
	micros := func(of func(sample) time.Duration) func(sample) float64 {
		return func(s sample) float64 { return float64(of(s)) / 1000 }
	}
	var lags []time.Duration
	for _, s := range all[withMirror] {
		lags = append(lags, s.lags...)
	}
	slices.Sort(lags)
	fmt.Printf("\n    lag p50 %v, p99 %v, most %v\n", quantile(lags, 0.5).Round(10*time.Microsecond), quantile(lags, 0.99).Round(10*time.Microsecond), quantile(lags, 1).Round(10*time.Microsecond))
	for _, c := range []struct {
		what string
		of   func(sample) float64
	}{
		{"µs of processor time of the process for each call", micros(func(s sample) time.Duration { return s.own })},
		{"µs of local's", micros(func(s sample) time.Duration { return s.onLocal })},
		{"µs of the primary's", micros(func(s sample) time.Duration { return s.onPrimary })},
		{"allocations", func(s sample) float64 { return s.allocs }},
		{"bytes allocated", func(s sample) float64 { return s.bytes }},
	} {
		fmt.Printf("    %s: with the mirror %.2f, without it %.2f, bare %.2f\n", c.what, middle(withMirror, c.of), middle(withoutMirror, c.of), middle(bareClient, c.of))
	}
	fmt.Println()
}
