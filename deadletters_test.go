package fallback_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
)

// withLetters returns a pair whose primary did not take two writes.
func withLetters(t *testing.T) (*pair, []fallback.DeadLetter) {
	t.Helper()
	p := newPair(t, unlooked())
	p.primary.Exhaust()
	for _, err := range []error{p.rdb.LPush(ctx, "a", "x").Err(), p.rdb.Set(ctx, "fine", 1, 0).Err(), p.rdb.LPush(ctx, "b", "x").Err()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p.primary.Renew()
	for _, key := range []string{"a", "b"} {
		if err := p.primary.Data().Set(key, "no list"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.h.Drain(ctx, 0); err != nil {
		t.Fatal(err)
	}
	all, err := p.h.DeadLetters(ctx)
	if err != nil || len(all) != 2 || get(t, p.primary, "fine") != "1" {
		t.Fatalf("%+v, %v", all, err)
	}
	return p, all
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	p, all := withLetters(t)
	l := all[0]
	if !slices.Equal(l.Args, []string{"lpush", "a", "x"}) && !slices.Equal(l.Args, []string{"LPUSH", "a", "x"}) ||
		l.Doubt || l.Waiting || l.Writes != 1 || l.DB != "" || l.Error == "" || time.Since(l.Written) > time.Minute || l.At.Before(l.Written) {
		t.Errorf("%+v", l)
	}
	if err := p.h.RetryDeadLetter(ctx, l.ID); err == nil || errors.Is(err, fallback.ErrNoDeadLetter) {
		t.Errorf("sent again to the same key: %v", err)
	}
	p.primary.Data().Del("a")
	if err := p.h.RetryDeadLetter(ctx, l.ID); err != nil {
		t.Fatal(err)
	}
	if list, err := p.primary.Data().List("a"); err != nil || !slices.Equal(list, []string{"x"}) {
		t.Errorf("on the primary: %v, %v", list, err)
	}
	if err := p.h.DropDeadLetter(ctx, all[1].ID); err != nil {
		t.Fatal(err)
	}
	if left, err := p.h.DeadLetters(ctx); err != nil || len(left) != 0 {
		t.Errorf("%+v, %v", left, err)
	}
	for _, err := range []error{p.h.RetryDeadLetter(ctx, l.ID), p.h.DropDeadLetter(ctx, l.ID)} {
		if !errors.Is(err, fallback.ErrNoDeadLetter) {
			t.Errorf("one that is gone: %v", err)
		}
	}
	if err := p.h.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := p.h.DeadLetters(ctx); !errors.Is(err, fallback.ErrClosed) {
		t.Errorf("after Shutdown: %v", err)
	}
}

func TestAnEstimateCostsNothing(t *testing.T) {
	t.Parallel()
	p := newPair(t, unlooked())
	p.primary.Exhaust()
	for range 10 {
		if err := p.rdb.RPush(ctx, "list", "x").Err(); err != nil {
			t.Fatal(err)
		}
	}
	p.primary.Renew()
	before := p.primary.Commands()
	e, err := p.h.Estimate(ctx)
	if err != nil || e.Entries != 10 || e.Writes != 10 || e.Commands < 6 || e.Bytes == 0 {
		t.Errorf("%+v, %v", e, err)
	}
	if n := p.primary.Commands() - before; n != 0 {
		t.Errorf("the estimate cost %d commands", n)
	}
	if _, err := p.h.Drain(ctx, 0); err != nil {
		t.Error(err)
	}
	if n := int64(p.primary.Commands() - before); n > e.Commands {
		t.Errorf("the drain cost %d commands, more than the %d that were estimated", n, e.Commands)
	}
}
