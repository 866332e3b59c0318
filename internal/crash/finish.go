package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/crash/check"
	"github.com/redis-fallback/fallback/internal/crash/history"
	"github.com/redis/go-redis/v9"
)

// finish waits until all is well, ends the processes, and checks.
func (t *trial) finish(ctx context.Context) (*outcome, error) {
	if err := t.well(ctx); err != nil {
		return nil, err
	}
	out := &outcome{faults: len(t.faults)}
	for _, s := range t.seats {
		var stopped string
		if err := s.process().ask("stop", &stopped, answerTime); err != nil {
			return nil, err
		}
	}
	if err := t.well(ctx); err != nil { // the last calls may have met something
		return nil, err
	}
	for _, s := range t.seats {
		st, err := s.process().status(answerTime)
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
	if out.rest, err = left(ctx, primary, record); err != nil {
		return nil, err
	}
	if err := t.cleaned(ctx, record); err != nil {
		return nil, err
	}
	for _, s := range t.seats {
		st, err := s.process().status(answerTime)
		if err != nil {
			return nil, err
		}
		add(&out.mirror, st.Mirror)
	}
	if err := t.endAll(); err != nil {
		return nil, err
	}
	if err := t.compare(ctx, primary, out); err != nil {
		return nil, err
	}
	out.notes = t.notes
	if t.fight {
		out.Report = &check.Report{}
		return out, nil
	}
	final, err := check.ReadFinal(ctx, primary)
	if err != nil {
		return nil, err
	}
	if final.Letters, err = check.ReadLetters(ctx, record, recordName); err != nil {
		return nil, err
	}
	final.Slack = slack(t.faults, t.stood).Milliseconds()
	var ops []*history.Op
	for _, path := range t.logs {
		more, err := history.Read(path)
		if err != nil {
			return nil, err
		}
		ops = append(ops, more...)
	}
	out.Report = check.History(ops, final)
	return out, nil
}

// endAll ends the processes, all at once: each may take its time.
func (t *trial) endAll() error {
	errs := make([]error, len(t.seats))
	var ends sync.WaitGroup
	for i, s := range t.seats {
		ends.Go(func() { errs[i] = s.process().end() })
	}
	ends.Wait()
	return errors.Join(errs...)
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
		st, err := p.status(answerTime)
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
