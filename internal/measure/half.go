package main

import (
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// sample is one half of a pair.
type sample struct {
	p50, p99      time.Duration
	own, onLocal  time.Duration // processor time, for each call
	onPrimary     time.Duration
	allocs, bytes float64 // for each call, of all goroutines
	lags          []time.Duration
}

// half measures one way of the calls.
func (h *healthy) half(span time.Duration, rate float64, seed uint64, way int, call func(int) error) (s sample, err error) {
	var before, after runtime.MemStats
	runtime.GC()
	local, err := serverTime(h.onLocal)
	if err != nil {
		return s, err
	}
	primary, err := serverTime(h.bare)
	if err != nil {
		return s, err
	}
	runtime.ReadMemStats(&before)
	own := ownTime()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	if way == withMirror {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
					s.lags = append(s.lags, h.hooks[way].Status().Mirror.Lag)
				}
			}
		})
	}
	took, err := open(span, rate, seed, call)
	close(stop)
	wg.Wait()
	if err != nil {
		return s, err
	}
	h.quiet()
	n := len(took)
	s.own = (ownTime() - own) / time.Duration(n)
	runtime.ReadMemStats(&after)
	l, err := serverTime(h.onLocal)
	if err != nil {
		return s, err
	}
	p, err := serverTime(h.bare)
	if err != nil {
		return s, err
	}
	s.p50, s.p99 = quantile(took, 0.5), quantile(took, 0.99)
	s.onLocal, s.onPrimary = (l-local)/time.Duration(n), (p-primary)/time.Duration(n)
	s.allocs = float64(after.Mallocs-before.Mallocs) / float64(n)
	s.bytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(n)
	return s, nil
}

// serverTime returns the processor time that a server has used.
func serverTime(rdb *redis.Client) (time.Duration, error) {
	text, err := rdb.Info(noCtx, "cpu").Result()
	if err != nil {
		return 0, err
	}
	var sum float64
	for line := range strings.Lines(text) {
		for _, field := range []string{"used_cpu_sys:", "used_cpu_user:"} {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), field); ok {
				f, err := strconv.ParseFloat(v, 64)
				if err != nil {
					return 0, err
				}
				sum += f
			}
		}
	}
	return time.Duration(sum * float64(time.Second)), nil
}
