package main

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// drained is a run with one process, and a made-up drain through its proxy.
type drained struct {
	*trial
	rdb, direct *redis.Client
}

func newDrained(t *testing.T) *drained {
	t.Helper()
	needRedis(t)
	d := &drained{trial: &trial{settings: settings{processes: 1, callers: 1, pause: time.Hour}, dir: t.TempDir(), began: time.Now()}}
	t.Cleanup(d.tearDown)
	if err := d.setUp(); err != nil {
		t.Fatal(err)
	}
	o := clientOptions(d.seats[0].proxy.Addr())
	o.MaxRetries, o.ReadTimeout = -1, time.Minute
	d.rdb, d.direct = redis.NewClient(o), redis.NewClient(d.primary.Options())
	t.Cleanup(func() { d.rdb.Close(); d.direct.Close() })
	return d
}

const position = positionMarker + "id"

func (d *drained) drain() error {
	ctx := context.Background()
	return d.rdb.Watch(ctx, func(tx *redis.Tx) error {
		_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, position, "1-0", 0)
			pipe.Incr(ctx, "delivered")
			return nil
		})
		return err
	}, position)
}

func TestDrainsAreStruck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault     fault
		fails     bool
		delivered string
	}{
		{drainHold, false, "1"},
		{drainStop, false, "1"},
		{drainPause, false, "1"},
		{drainKill, false, "1"},
		{drainLose, true, "1"},
		{drainSever, true, ""},
		{drainEvict, true, "1"},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			d := newDrained(t)
			before := d.seats[0].process()
			d.trap(event{fault: c.fault, last: 50 * time.Millisecond})
			if err := d.drain(); (err != nil) != c.fails {
				t.Errorf("the drain: %v", err)
			}
			d.ends.Wait()
			if v := d.direct.Get(t.Context(), "delivered").Val(); v != c.delivered {
				t.Errorf("delivered %q times, want %q", v, c.delivered)
			}
			if there := d.direct.Exists(t.Context(), position).Val() == 1; there == (c.fault == drainEvict || c.fault == drainSever) {
				t.Errorf("the position is there: %v", there)
			}
			after := d.seats[0].process()
			if (after != before) != (c.fault == drainKill) {
				t.Error("the process is another")
			}
			if _, err := after.status(); err != nil {
				t.Error(err)
			}
			if len(d.errs) > 0 {
				t.Error(d.errs)
			}
			if err := d.drain(); err != nil { // it strikes once
				t.Error(err)
			}
		})
	}
}

func TestTrapsWaitForOneAnother(t *testing.T) {
	t.Parallel()
	d := newDrained(t)
	d.trap(event{fault: drainSever})
	d.trap(event{fault: drainLose})
	for i, delivered := range []string{"", "1"} {
		if err := d.drain(); err == nil {
			t.Errorf("drain %d was not struck", i+1)
		}
		if v := d.direct.Get(t.Context(), "delivered").Val(); v != delivered {
			t.Errorf("after drain %d: delivered %q times, want %q", i+1, v, delivered)
		}
	}
	if err := d.drain(); err != nil {
		t.Error(err)
	}
}
