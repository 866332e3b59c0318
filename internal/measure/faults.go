package main

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// outage measures what callers feel when the primary is killed or hangs. Every fourth call is an INCR,
// which must not run twice; the others are SETs.
func outage(*bench) error {
	head("primary", "calls", "client", "worst call", "failed calls", "of them INCR")
	quick := []fallback.Option{fallback.WithHang(300*time.Millisecond, 150*time.Millisecond)}
	for _, o := range []oneOutage{
		{"killed", (*redistest.Server).Kill, 1, false, nil},
		{"killed", (*redistest.Server).Kill, 1, true, nil},
		{"killed", (*redistest.Server).Kill, 32, true, nil},
		{"hung", (*redistest.Server).Hang, 1, false, nil},
		{"hung", (*redistest.Server).Hang, 1, true, nil},
		{"hung", (*redistest.Server).Hang, 32, true, nil},
		{"hung, WithHang(300ms, 150ms)", (*redistest.Server).Hang, 1, true, quick},
		{"hung, WithHang(300ms, 150ms)", (*redistest.Server).Hang, 32, true, quick},
	} {
		if err := o.run(); err != nil {
			return err
		}
	}
	return nil
}

type oneOutage struct {
	name    string
	hit     func(*redistest.Server)
	workers int
	hooked  bool
	opts    []fallback.Option
}

func (o oneOutage) run() error {
	p, err := start(o.opts...)
	if err != nil {
		return err
	}
	defer p.stop()
	client, who := p.bare, "go-redis alone"
	if o.hooked {
		client, who = p.hooked, "with the hook"
	}
	gap, what := 200*time.Millisecond, "5/s"
	if o.workers > 1 {
		gap, what = 0, fmt.Sprintf("%d workers", o.workers)
	}
	var worst, failed, incrs atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range o.workers {
		wg.Go(func() {
			for i := w; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(gap):
				}
				began := time.Now()
				var err error
				if i%4 == 0 {
					err = client.Incr(noCtx, "n").Err()
				} else {
					err = client.Set(noCtx, "k", "v", 0).Err()
				}
				took := int64(time.Since(began))
				for old := worst.Load(); took > old && !worst.CompareAndSwap(old, took); old = worst.Load() {
				}
				if err != nil {
					failed.Add(1)
					if i%4 == 0 {
						incrs.Add(1)
					}
				}
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	worst.Store(0)
	o.hit(p.primary)
	time.Sleep(4 * time.Second)
	close(stop)
	wg.Wait()
	row(o.name, what, who, time.Duration(worst.Load()).Round(time.Millisecond), failed.Load(), incrs.Load())
	return nil
}

// quota runs 64 workers through a minute in which the primary refuses everything.
func quota(*bench) error {
	primary, err := fallbacktest.Start()
	if err != nil {
		return err
	}
	defer primary.Close()
	p, err := start()
	if err != nil {
		return err
	}
	defer p.stop()
	h := fallback.New(p.onLocal, fallback.WithLogger(slog.New(slog.DiscardHandler)), fallback.WithHealth(health.Config{
		Hold: 5 * time.Second, MaxHold: 5 * time.Second, Every: time.Second,
	}))
	defer h.Shutdown(noCtx)
	rdb := redis.NewClient(primary.Options())
	defer rdb.Close()
	rdb.AddHook(h)
	var calls, failed atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range workers {
		wg.Go(func() {
			for i := w; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				calls.Add(1)
				if err := mixed(rdb, i); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	time.Sleep(2 * time.Second)
	primary.Exhaust()
	time.Sleep(time.Minute)
	primary.Renew()
	for h.Serving() != fallback.Primary {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(2 * time.Second)
	close(stop)
	wg.Wait()
	st := h.Status()
	head("quota for 60 s, 64 workers", "")
	row("calls (single commands, pipelines, transactions)", calls.Load())
	row("errors at the application", failed.Load())
	row("commands that the primary refused", st.Refused)
	row("commands that local answered", st.Local.Answered)
	row("switches", fmt.Sprintf("%d to local, %d back", st.Trips, st.Returns))
	return nil
}

func mixed(rdb *redis.Client, i int) error {
	fill := func(pipe redis.Pipeliner) error {
		pipe.Incr(noCtx, "n")
		pipe.Set(noCtx, "k", i, time.Hour)
		pipe.LPush(noCtx, "l", i)
		pipe.LTrim(noCtx, "l", 0, 9)
		return nil
	}
	switch i % 4 {
	case 0:
		return rdb.Incr(noCtx, "n").Err()
	case 1:
		return rdb.Set(noCtx, "k", i, 0).Err()
	case 2:
		_, err := rdb.Pipelined(noCtx, fill)
		return err
	}
	_, err := rdb.TxPipelined(noCtx, fill)
	return err
}

// idle spaces INCRs so that the host closes every connection between two of them, over TLS.
func idle(*bench) error {
	head("100 INCRs, the host closes the idle connection before each", "errors", "counter")
	for _, hooked := range []bool{false, true} {
		primary, err := fallbacktest.Start(fallbacktest.WithTLS())
		if err != nil {
			return err
		}
		o := primary.Options()
		who := "bare client, MaxRetries -1 (nothing runs twice)"
		if !hooked {
			o.MaxRetries = -1
		}
		rdb := redis.NewClient(o)
		if hooked {
			who = "with the hook"
			rdb.AddHook(fallback.New(redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})))
		}
		primary.CloseIdle(20 * time.Millisecond)
		failed := 0
		for range 100 {
			if err := rdb.Incr(noCtx, "n").Err(); err != nil {
				failed++
			}
			time.Sleep(60 * time.Millisecond)
		}
		n, _ := primary.Data().Get("n")
		row(who, failed, n)
		_ = rdb.Close()
		primary.Close()
	}
	return nil
}
