package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis-fallback/fallback/internal/crash/history"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// workerCommand, as the first argument, makes the program a worker.
const workerCommand = "worker"

// worker is one process of the application.
type worker struct {
	id      int
	primary string
	local   string
	log     string
	seed    uint64
	callers int
	pause   time.Duration
	bug     string
	fight   bool // all callers write to the same few keys
}

func (w *worker) flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.IntVar(&w.id, "id", 0, "unique over the run")
	f.StringVar(&w.primary, "primary", "", "address of its proxy")
	f.StringVar(&w.local, "local", "", "address of local")
	f.StringVar(&w.log, "log", "", "file of its history")
	f.Uint64Var(&w.seed, "seed", 1, "of what it does")
	f.IntVar(&w.callers, "callers", 4, "goroutines that call")
	f.DurationVar(&w.pause, "pause", 20*time.Millisecond, "between two calls of one, on average")
	f.StringVar(&w.bug, "bug", "", "a mistake to make on purpose")
	f.BoolVar(&w.fight, "fight", false, "its callers write to the same few keys, and write down nothing")
	return f
}

func (w *worker) args() []string {
	return []string{
		workerCommand, "-id", fmt.Sprint(w.id), "-primary", w.primary, "-local", w.local, "-log", w.log, "-seed", fmt.Sprint(w.seed),
		"-callers", fmt.Sprint(w.callers), "-pause", w.pause.String(), "-bug", w.bug,
		fmt.Sprintf("-fight=%t", w.fight),
	}
}

// work is the main function of a worker. It takes commands, one a line, and answers each with a line:
// "status" with its status in JSON, "drain" with what it has delivered, "stop" when the last call has
// returned. It ends with its input, and on SIGTERM.
func work(args []string, in io.Reader, out io.Writer) error {
	var w worker
	if err := w.flags(workerCommand).Parse(args); err != nil {
		return err
	}
	if err := plantBug(w.bug); err != nil {
		return err
	}
	log, err := history.Create(w.log)
	if err != nil {
		return err
	}
	defer log.Close()
	redis.SetLogger(silent{})
	h := fallback.New(redis.NewClient(clientOptions(w.local)), workerOptions()...)
	rdb := redis.NewClient(clientOptions(w.primary))
	rdb.AddHook(h)
	defer rdb.Close()

	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	var calls sync.WaitGroup
	failed := make(chan error, w.callers)
	stop := make(chan struct{})
	for i := range w.callers {
		rnd := rand.New(rand.NewPCG(w.seed, uint64(w.id*1000+i))) //nolint:gosec // repeatable
		if w.fight {
			f := &fighter{rdb, rnd}
			calls.Go(func() { f.run(stop, w.pause) })
			continue
		}
		c := &caller{name: fmt.Sprintf("w%dg%d", w.id, i), rdb: rdb, h: h, log: log, rnd: rnd}
		calls.Go(func() {
			if err := c.run(stop, w.pause); err != nil {
				failed <- err
			}
		})
	}
	end := sync.OnceFunc(func() { close(stop); calls.Wait() })
	defer end()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	answer := json.NewEncoder(out)
	for {
		var err error
		select {
		case <-ctx.Done():
			err = io.EOF
		case err = <-failed:
		case line, more := <-lines:
			switch {
			case !more:
				err = io.EOF
			case line == "stop":
				end()
				err = answer.Encode("stopped")
			case line == "drain":
				err = answer.Encode(drainNow(h))
			case line == "status":
				err = answer.Encode(h.Status())
			default:
				err = fmt.Errorf("no such command: %q", line)
			}
		}
		if err == nil {
			continue
		}
		end()
		last, done := context.WithTimeout(context.Background(), patience)
		defer done()
		if down := h.Shutdown(last); down != nil && errors.Is(err, io.EOF) {
			return down
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}

// drained is the answer to "drain".
type drained struct {
	Entries int64
	Error   string
}

// drainTime bounds a drain: where writers are quicker, it has no end.
const drainTime = 3 * time.Second

// drainNow delivers the journal as an operator has it done, without the lease of a return.
func drainNow(h *fallback.Hook) drained {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	n, err := h.Drain(ctx, 0)
	if err != nil {
		return drained{n, err.Error()}
	}
	return drained{Entries: n}
}

// workerOptions shorten everything that takes minutes in production.
func workerOptions() []fallback.Option {
	return []fallback.Option{
		fallback.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))),
		fallback.WithHealth(health.Config{
			Hold: 600 * time.Millisecond, MaxHold: 1500 * time.Millisecond, Cooldown: 400 * time.Millisecond,
			Successes: 2, Every: 150 * time.Millisecond,
		}),
		fallback.WithBreaker(breaker.Config{Cooldown: 500 * time.Millisecond}),
		fallback.WithHang(400*time.Millisecond, 200*time.Millisecond),
		fallback.WithProbe("crash:probe", 500*time.Millisecond),
		fallback.WithLocalCheck(500 * time.Millisecond),
	}
}

func clientOptions(addr string) *redis.Options {
	return &redis.Options{
		Addr: addr, DialTimeout: time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// silent is the logger of go-redis: what it has to say comes back as errors.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
