package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/mirror"
)

// copier returns what copies from the primary of the environment to local, and what ends it. It costs the
// primary one command. writes says that it will copy, and not just compare.
func (p place) copier(ctx context.Context, writes bool) (*mirror.Copier, func(), error) {
	store, _, err := p.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	d, err := deliverer(store)
	if err != nil {
		_ = store.Client().Close()
		return nil, nil, err
	}
	closed := func() {
		_ = d.Primary.Close()
		_ = store.Client().Close()
	}
	rec, err := d.Same(ctx)
	if err == nil && rec.Serving != journal.Primary {
		err = mirror.ErrFenced
	}
	if err != nil {
		closed()
		return nil, nil, explainCopy(err)
	}
	home, err := localOptions()
	if err != nil {
		closed()
		return nil, nil, err
	}
	m := mirror.New(mirror.Config{
		RDB: store.Client(), Name: *p.name, Database: store.Database(), Home: home.DB, Process: d.ID, Fence: rec.Fence,
	})
	c := &mirror.Copier{
		Primary: d.Primary, Local: store.Client(), Mirror: m, Name: *p.name, Database: store.Database(), Home: home.DB,
		Refused: d.Refused,
	}
	if !writes {
		return c, closed, nil
	}
	m.Start()
	return c, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
		defer cancel()
		_ = m.Close(ctx) // if it fails, others find out that this process is gone
		closed()
	}, nil
}

const leaveTime = time.Second

// explainCopy says what to do about an error of a copy.
func explainCopy(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mirror.ErrBudget):
		return fmt.Errorf("%w; the rest waits for a larger --budget", err)
	case errors.Is(err, mirror.ErrRefused):
		return fmt.Errorf("%w; wait until it takes commands again", err)
	case errors.Is(err, mirror.ErrFenced):
		return fmt.Errorf("%w; redis-fallback status says who does, and why", err)
	case errors.Is(err, mirror.ErrOff):
		return fmt.Errorf("%w; --match and --repair alone do not make it a mirror", err)
	case errors.Is(err, mirror.ErrMemory):
		return fmt.Errorf("%w; give it more, or copy less with --match", err)
	case errors.Is(err, mirror.ErrLocalRefuses):
		return fmt.Errorf("%w; is it at least Redis 7.0, and may its user RESTORE?", err)
	case errors.Is(err, journal.ErrOtherPrimary):
		return fmt.Errorf("%w: is REDIS_URL right?", err)
	}
	return advice("REDIS_URL or REDIS_FALLBACK_URL", err)
}

// nearly is a time as somebody who waits for it wants to know it.
func nearly(d time.Duration) string {
	if d < time.Second {
		return "less than 1s"
	}
	return d.Round(time.Second).String()
}
