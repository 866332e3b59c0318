package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// journaled compares writes while local serves, each with its entry in the journal, with those of a bare
// client on local.
func journaled(b *bench) error {
	head("64 goroutines, while local serves", "bare client on local, calls/s", "with journal / bare", "95 %")
	many := func(c *redis.Client, tx bool, n int, value string) func() error {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprint("key:", i)
		}
		return func() error {
			run := c.Pipelined
			if tx {
				run = c.TxPipelined
			}
			_, err := run(noCtx, func(pipe redis.Pipeliner) error {
				for _, key := range keys {
					pipe.Set(noCtx, key, value, 0)
				}
				return nil
			})
			return err
		}
	}
	for _, c := range []struct {
		name string
		call func(*redis.Client) func() error
	}{
		{"SET", func(c *redis.Client) func() error { return func() error { return c.Set(noCtx, "k", "v", 0).Err() } }},
		{"INCR", func(c *redis.Client) func() error { return func() error { return c.Incr(noCtx, "n").Err() } }},
		{"HSET", func(c *redis.Client) func() error { return func() error { return c.HSet(noCtx, "h", "f", "v").Err() } }},
		{"SET with expiry", func(c *redis.Client) func() error {
			return func() error { return c.Set(noCtx, "e", "v", time.Hour).Err() }
		}},
		{"pipeline of 100 SET", func(c *redis.Client) func() error { return many(c, false, 100, "v") }},
		{"pipeline of 100 SET of 100 bytes", func(c *redis.Client) func() error { return many(c, false, 100, fmt.Sprintf("%0100d", 0)) }},
		{"transaction of 10 SET", func(c *redis.Client) func() error { return many(c, true, 10, "v") }},
	} {
		// Each with a journal of its own: the drain is not what is measured.
		p, err := start(fallback.WithJournal(fallback.JournalConfig{Entries: -1, Bytes: -1}))
		if err != nil {
			return err
		}
		if err = p.h.Pin(fallback.Local); err == nil {
			err = b.compare(c.name, c.call(p.onLocal), c.call(p.hooked))
		}
		p.stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// What the child processes of returned are told.
const (
	envPrimary = "REDIS_FALLBACK_MEASURE_PRIMARY"
	envLocal   = "REDIS_FALLBACK_MEASURE_LOCAL"
)

const returns = 10

// returned measures the pause that callers feel at a return, with 4 processes of 64 workers each that
// write without a break.
func returned(*bench) error {
	p, err := start()
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.hooked.Ping(noCtx).Err(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var all []io.WriteCloser
	var answers []*bufio.Scanner
	for range 4 {
		cmd := exec.Command(self) //nolint:gosec,noctx // this program
		cmd.Env = append(os.Environ(), envPrimary+"="+p.primary.Options().Addr, envLocal+"="+p.local.Options().Addr)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		defer func() { _ = cmd.Wait() }()
		defer in.Close()
		all, answers = append(all, in), append(answers, bufio.NewScanner(out))
	}
	ask := func() (longest time.Duration, calls, failed int64) {
		for i := range all {
			fmt.Fprintln(all[i], "next")
			var d, n, bad int64
			if answers[i].Scan() {
				_, _ = fmt.Sscan(answers[i].Text(), &d, &n, &bad)
			}
			longest, calls, failed = max(longest, time.Duration(d)), calls+n, failed+bad
		}
		return longest, calls, failed
	}
	head("return", "longest call at the return", "longest call in the second before", "writes journaled and delivered", "errors")
	for i := range returns {
		if err := p.h.Pin(fallback.Local); err != nil {
			return err
		}
		time.Sleep(time.Second)
		_, _, _ = ask()
		time.Sleep(time.Second)
		before, calls, failed := ask()
		if err := p.h.Pin(fallback.Primary); err != nil {
			return err
		}
		for p.h.Serving() != fallback.Primary {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		pause, more, bad := ask()
		row(i+1, pause.Round(time.Millisecond), before.Round(time.Millisecond), calls+more, failed+bad)
		if err := p.h.Unpin(); err != nil {
			return err
		}
	}
	return nil
}

// child is a process of returned: 64 workers, and the longest of their calls since it was last asked.
func child(primary, local string) error {
	options := func(addr string) *redis.Options {
		o := (&redistest.Server{}).Options()
		o.Addr = addr
		return o
	}
	h := fallback.New(redis.NewClient(options(local)), fallback.WithLogger(slog.New(slog.DiscardHandler)))
	rdb := redis.NewClient(options(primary))
	rdb.AddHook(h)
	var longest, calls, failed atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range workers {
		key := fmt.Sprint("n", w)
		wg.Go(func() {
			for !stop.Load() {
				began := time.Now()
				if rdb.Incr(noCtx, key).Err() != nil {
					failed.Add(1)
				}
				d := int64(time.Since(began))
				for old := longest.Load(); d > old && !longest.CompareAndSwap(old, d); old = longest.Load() {
				}
				calls.Add(1)
			}
		})
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(longest.Swap(0), calls.Swap(0), failed.Swap(0))
	}
	stop.Store(true)
	wg.Wait()
	return h.Shutdown(noCtx)
}
