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
	bug       string
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

	mu    sync.Mutex // protects all below
	spawn int
	logs  []string
	errs  []error
	notes []string
	traps []event // that wait for a drain
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
	faults      int
	undelivered int // entries of the journal that the primary does not have
	trips       int64
	refusals    int64
	notes       []string
}

// run does one run in dir, and checks it. Its error is one of the harness, or of processes that do not
// become well again.
func (s settings) run(ctx context.Context, seed uint64, dir string) (*outcome, error) {
	t := &trial{settings: s, seed: seed, dir: dir}
	defer t.tearDown()
	if err := t.setUp(); err != nil {
		return nil, err
	}
	t.began = time.Now()
	if !s.calm {
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
		rdb := redis.NewClient((*s).Options())
		err = rdb.Set(context.Background(), history.ServerKey, name, 0).Err()
		if err == nil && name == "primary" {
			err = rdb.Set(context.Background(), history.ClashKey, "a string", 0).Err()
		}
		_ = rdb.Close()
		if err != nil {
			return err
		}
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
		callers: t.callers, pause: t.pause, bug: t.bug,
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.p = p
	s.mu.Unlock()
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
	for _, s := range t.seats {
		s.proxy.Renew()
	}
	t.ends.Wait()
	return nil
}

// finish waits until all is well, ends the processes, and checks.
func (t *trial) finish(ctx context.Context) (*outcome, error) {
	if err := t.well(ctx); err != nil {
		return nil, err
	}
	out := &outcome{faults: len(t.faults)}
	for _, s := range t.seats {
		var stopped string
		if err := s.process().ask("stop", &stopped); err != nil {
			return nil, err
		}
	}
	if err := t.well(ctx); err != nil { // the last calls may have met something
		return nil, err
	}
	for _, s := range t.seats {
		st, err := s.process().status()
		if err != nil {
			return nil, err
		}
		out.trips += st.Trips
		out.refusals += s.proxy.Refusals()
	}
	primary, record := redis.NewClient(t.primary.Options()), t.record()
	defer primary.Close()
	defer record.Close()
	var err error
	if out.undelivered, err = undelivered(ctx, primary, record); err != nil {
		return nil, err
	}
	for _, s := range t.seats {
		if err := s.process().end(); err != nil {
			return nil, err
		}
	}
	final, err := check.ReadFinal(ctx, primary)
	if err != nil {
		return nil, err
	}
	if final.Letters, err = check.ReadLetters(ctx, record, recordName); err != nil {
		return nil, err
	}
	final.Slack = slack(t.faults).Milliseconds()
	var ops []*history.Op
	for _, path := range t.logs {
		more, err := history.Read(path)
		if err != nil {
			return nil, err
		}
		ops = append(ops, more...)
	}
	out.Report = check.History(ops, final)
	out.notes = t.notes
	return out, nil
}

// well waits until the primary serves for everybody, which it does only when the journal is delivered.
func (t *trial) well(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.settle)
	defer cancel()
	record := t.record()
	defer record.Close()
	for {
		waiting, err := t.waiting(ctx, record)
		if err != nil || waiting == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %v still: %s", t.settle, waiting)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// waiting says what is not well yet, or "".
func (t *trial) waiting(ctx context.Context, record *redis.Client) (string, error) {
	for _, s := range t.seats {
		p := s.process()
		st, err := p.status()
		if err != nil {
			return "", err
		}
		if st.Serving != fallback.Primary {
			return fmt.Sprintf("worker %d is served by %s (%s, %s)", p.w.id, st.Serving, st.Reason, st.Cause), nil
		}
	}
	serving, err := record.HGet(ctx, stateKey, "serving").Result()
	switch {
	case errors.Is(err, redis.Nil):
		return "", nil // nothing has tripped yet
	case err != nil:
		return "the record: " + err.Error(), nil
	case serving != "primary":
		return "the record says " + serving, nil
	}
	return "", nil
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
