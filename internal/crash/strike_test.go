package main

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// harness is a run with one process, and a made-up drain through its proxy.
type harness struct {
	*trial
	rdb, direct *redis.Client
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	needRedis(t)
	d := &harness{trial: settings{processes: 1, callers: 1, pause: time.Hour}.trial(1, t.TempDir())}
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

func (d *harness) drain() error {
	ctx := context.Background()
	return d.rdb.Watch(ctx, func(tx *redis.Tx) error {
		if err := tx.MGet(ctx, position).Err(); err != nil {
			return err
		}
		_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, position, "1-0", 0)
			pipe.Incr(ctx, "delivered")
			pipe.Incr(ctx, "others")
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
		{drainPass, false, "1"},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			d := newHarness(t)
			before := d.seats[0].process()
			tr := d.set(event{fault: c.fault, last: 50 * time.Millisecond})
			if err := d.drain(); (err != nil) != c.fails {
				t.Errorf("the drain: %v", err)
			}
			<-tr.done
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
			if _, err := after.status(answerTime); err != nil {
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
	d := newHarness(t)
	d.set(event{fault: drainSever})
	d.set(event{fault: drainLose})
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
