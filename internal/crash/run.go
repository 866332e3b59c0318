package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/crash/check"
	"github.com/redis-fallback/fallback/internal/crash/history"
	"github.com/redis-fallback/fallback/internal/crash/quota"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// settings are those of every run.
type settings struct {
	span      time.Duration
	settle    time.Duration // how long everything may take to be well again
	processes int
	callers   int
	pause     time.Duration
	calm      bool    // without faults
	alone     bool    // without local: everything that is acknowledged is on the primary already
	only      []fault // of which there are, if any is named
	plan      []event // in place of a schedule
	bug       string
	fight     bool // all callers write to the same few keys, and only local is checked
}

// nowhere is an address at which nobody listens.
const nowhere = "127.0.0.1:1"

// trial is one run on its way.
type trial struct {
	settings
	seed   uint64
	dir    string
	began  time.Time
	faults []event

	primary, local *redistest.Server
	seats          []*seat
	ends           sync.WaitGroup
	over           chan struct{} // closed when nothing is to happen any more

	mu    sync.Mutex // protects all below
	spawn int
	logs  []string
	errs  []error
	notes []string
	traps []*trap       // that wait for a drain
	stood time.Duration // the longest time for which a process was stopped that might deliver then
}

// seat is the place of one process: it is killed and another takes it, the proxy stays.
type seat struct {
	proxy *quota.Proxy
	mu    sync.Mutex // protects p
	p     *process
}

// outcome is what one run has shown.
type outcome struct {
	*check.Report
	rest
	faults   int
	trips    int64
	refusals int64
	notes    []string
	warm     check.Warm // what local holds
	mirror   fallback.MirrorStatus
}

// run does one run in dir, and checks it. Its error is one of the harness, or of processes that do not
// become well again.
func (s settings) run(ctx context.Context, seed uint64, dir string) (*outcome, error) {
	t := s.trial(seed, dir)
	defer t.tearDown()
	if err := t.setUp(); err != nil {
		return nil, err
	}
	if !t.alone {
		if err := t.mark(); err != nil {
			return nil, err
		}
	}
	t.began = time.Now()
	switch {
	case s.calm:
	case s.plan != nil:
		t.faults = s.plan
	default:
		t.faults = schedule(seed, s.span, s.processes, s.only)
	}
	if err := t.suffer(ctx); err != nil {
		return nil, err
	}
	out, err := t.finish(ctx)
	if err != nil {
		return nil, errors.Join(append(t.errs, err)...)
	}
	return out, errors.Join(t.errs...)
}

func (s settings) trial(seed uint64, dir string) *trial {
	return &trial{settings: s, seed: seed, dir: dir, began: time.Now(), over: make(chan struct{})}
}

func (t *trial) setUp() error {
	for name, s := range map[string]**redistest.Server{"primary": &t.primary, "local": &t.local} {
		dir := filepath.Join(t.dir, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		var err error
		if *s, err = redistest.Launch(dir, "--appendonly", "yes", "--appendfsync", "always"); err != nil {
			return err
		}
	}
	rdb := redis.NewClient(t.primary.Options())
	defer rdb.Close()
	if err := rdb.MSet(context.Background(), history.ServerKey, "primary", history.ClashKey, "a string").Err(); err != nil {
		return err
	}
	for range t.processes {
		proxy, err := quota.Listen(t.primary.Addr())
		if err != nil {
			return err
		}
		t.seats = append(t.seats, &seat{proxy: proxy})
	}
	for _, s := range t.seats {
		if err := t.fill(s); err != nil {
			return err
		}
	}
	return nil
}

// fill puts a new process on a seat.
func (t *trial) fill(s *seat) error {
	t.mu.Lock()
	t.spawn++
	id := t.spawn
	log := filepath.Join(t.dir, fmt.Sprintf("worker-%d", id))
	t.logs = append(t.logs, log)
	t.mu.Unlock()
	local := t.local.Addr()
	if t.alone {
		local = nowhere
	}
	p, err := spawn(&worker{
		id: id, primary: s.proxy.Addr(), local: local, log: log, seed: t.seed,
		callers: t.callers, pause: t.pause, bug: t.bug, fight: t.fight,
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.p
	s.p = p
	s.mu.Unlock()
	if before != nil {
		before.kill() // two faults have met on this seat, and both fill it: one process is one too many
	}
	return nil
}

func (s *seat) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.p
}

func (t *trial) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, fmt.Sprintf("%6.2fs ", time.Since(t.began).Seconds())+fmt.Sprintf(format, args...))
}

func (t *trial) failed(err error) {
	if err != nil {
		t.mu.Lock()
		t.errs = append(t.errs, err)
		t.mu.Unlock()
	}
}

// suffer lets everything happen, until all of it is over.
func (t *trial) suffer(ctx context.Context) error {
	over := time.NewTimer(t.span)
	defer over.Stop()
	for _, e := range t.faults {
		t.ends.Go(func() {
			select {
			case <-ctx.Done():
			case <-time.After(time.Until(t.began.Add(e.at))):
				t.note("%s", e)
				t.strike(e)
			}
		})
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-over.C:
	}
	if t.plan != nil {
		t.met(ctx)
	}
	for _, s := range t.seats {
		s.proxy.Renew()
	}
	close(t.over)
	t.ends.Wait()
	return nil
}

// met waits until all that was planned has happened, as long as it may take to be well again: each fault
// waits for its own step.
func (t *trial) met(ctx context.Context) {
	all := make(chan struct{})
	go func() {
		t.ends.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-ctx.Done():
	case <-time.After(t.settle):
	}
}

func (t *trial) tearDown() {
	for _, s := range t.seats {
		s.proxy.Close()
		if p := s.process(); p != nil {
			p.signal(syscall.SIGCONT)
			p.kill()
		}
	}
	t.ends.Wait()
	for _, s := range []*redistest.Server{t.primary, t.local} {
		if s != nil {
			s.Kill()
		}
	}
}
