package main

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// open calls at a rate that does not wait for replies, by that many goroutines, at random times of the
// same seed, and returns how long each call took, in order of length. A call that begins late because the
// one before it took long has waited since it was due; one that begins late because the goroutine was
// woken late has not: that is no fault of who answers.
func open(span time.Duration, rate float64, seed uint64, call func(i int) error) ([]time.Duration, error) {
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	all := make([][]time.Duration, workers)
	began := time.Now()
	for w := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w))) //nolint:gosec // a load
			mean := float64(time.Second) * workers / rate
			for due := time.Duration(rnd.Float64() * mean); due < span; due += time.Duration(rnd.ExpFloat64() * mean) {
				from := due
				if now := time.Since(began); now < due {
					time.Sleep(due - now)
					from = time.Since(began)
				}
				if err := call(rnd.Int()); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				all[w] = append(all[w], time.Since(began)-from)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	took := slices.Concat(all...)
	slices.Sort(took)
	return took, nil
}

// quantile returns what so large a part of sorted values does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
