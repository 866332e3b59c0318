package journal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// locals runs a test on a real server and on the one in memory that the demo uses.
func locals(t *testing.T, test func(t *testing.T, s *journal.Store)) {
	t.Helper()
	open := func(t *testing.T, addr string) *journal.Store {
		t.Helper()
		rdb := redis.NewClient(&redis.Options{
			Addr: addr, DB: journal.DefaultDatabase, MaxRetries: -1, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		t.Cleanup(func() { _ = rdb.Close() })
		return journal.New(rdb, "test", journal.DefaultDatabase)
	}
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, fmt.Sprintf("127.0.0.1:%d", redistest.Start(t).Port)))
	})
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, miniredis.RunT(t).Addr()))
	})
}

func TestEveryChangeIsComparedWithTheEpoch(t *testing.T) {
	t.Parallel()
	locals(t, func(t *testing.T, s *journal.Store) {
		t.Helper()
		ctx := context.Background()
		v, err := s.Open(ctx, "address")
		if err != nil {
			t.Fatal(err)
		}
		first := v.Record
		if again, err := s.Open(ctx, "other"); err != nil || again.Record.ID != first.ID || again.Record.Address != "address" {
			t.Fatalf("a record that is there was made anew: %+v, %v", again.Record, err)
		}
		change := func(from *journal.Record, what journal.What, want bool) *journal.Record {
			t.Helper()
			v, done, err := s.Change(ctx, from, journal.Change{What: what, Reason: "test", By: "me"})
			if err != nil {
				t.Fatal(err)
			}
			if done != want {
				t.Fatalf("%s from epoch %d: done %v, want %v (now epoch %d, %s)", what, from.Epoch, done, want, v.Record.Epoch, v.Record.Serving)
			}
			return v.Record
		}
		local := change(first, journal.Trip, true)
		if local.Serving != journal.Local || local.Epoch != 2 || local.Fence() != first.ID+" 2 local" {
			t.Fatalf("after the trip: %+v", local)
		}
		if got := change(first, journal.Trip, false); got.Epoch != 2 {
			t.Fatalf("a trip from an old epoch answers epoch %d", got.Epoch)
		}
		change(local, journal.Finish, false)
		shut := change(local, journal.Shut, true)
		if shut.Serving != journal.Closing || shut.Closed == "" {
			t.Fatalf("after the shut: %+v", shut)
		}
		change(shut, journal.Finish, false) // the opening marker has not been settled
		opened := change(shut, journal.Undo, true)
		if opened.Serving != journal.Local || !opened.Since.Equal(local.Since) {
			t.Fatalf("after the undo: %+v, want since %v", opened, local.Since)
		}
		shut = change(opened, journal.Shut, true)
		change(shut, journal.Late, false) // not yet
		pin := journal.Primary
		v, done, err := s.Change(ctx, shut, journal.Change{What: journal.Pins, Pin: &pin, Reason: "pinned"})
		if err != nil || !done || v.Record.Pin != journal.Primary || v.Record.Serving != journal.Closing {
			t.Fatalf("pin: %+v, %v, %v", v.Record, done, err)
		}
	})
}

func TestAJournalThatIsShutTooLongIsOpenedByAnybody(t *testing.T) {
	t.Parallel()
	locals(t, func(t *testing.T, s *journal.Store) {
		t.Helper()
		ctx := context.Background()
		v, err := s.Open(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range []journal.What{journal.Trip, journal.Shut} {
			if v, _, err = s.Change(ctx, v.Record, journal.Change{What: what}); err != nil {
				t.Fatal(err)
			}
		}
		for {
			f, err := s.Tick(ctx, &journal.Process{ID: "p", Host: "h", PID: 7}, journal.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if f.Record.Serving == journal.Local {
				if f.Record.Epoch != 4 || len(f.Processes) != 1 || f.Processes[0].PID != 7 {
					t.Fatalf("%+v %+v", f.Record, f.Processes)
				}
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func TestALeaseHasOneHolder(t *testing.T) {
	t.Parallel()
	locals(t, func(t *testing.T, s *journal.Store) {
		t.Helper()
		ctx := context.Background()
		take := func(who string, want bool) {
			t.Helper()
			mine, l, err := s.Take(ctx, journal.Drainer, who, time.Minute)
			if err != nil || mine != want || l.Left <= 0 {
				t.Fatalf("%s: mine %v, %+v, %v; want %v", who, mine, l, err, want)
			}
		}
		take("a", true)
		take("b", false)
		take("a", true)
		if err := s.Release(ctx, journal.Drainer, "b"); err != nil {
			t.Fatal(err)
		}
		take("b", false)
		if err := s.Release(ctx, journal.Drainer, "a"); err != nil {
			t.Fatal(err)
		}
		take("b", true)
	})
}

func TestALocalThatLostItsStateIsNoticed(t *testing.T) {
	t.Parallel()
	locals(t, func(t *testing.T, s *journal.Store) {
		t.Helper()
		if _, err := s.Tick(context.Background(), nil, journal.Limits{}); !errors.Is(err, journal.ErrGone) {
			t.Fatalf("a tick without a record: %v, want ErrGone", err)
		}
	})
}
