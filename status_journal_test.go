package fallback_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis/go-redis/v9"
)

// unlooked never looks at the primary by itself.
func unlooked() fallback.Option {
	return fallback.WithHealth(health.Config{Hold: time.Hour, MaxHold: time.Hour, Cooldown: time.Hour, Every: time.Millisecond})
}

func TestStatusShowsTheJournal(t *testing.T) {
	t.Parallel()
	p := newPair(t, unlooked(), fallback.WithName("hosted"))
	if s := p.h.Status(); !s.Journal.On || s.Journal.State != "" || s.Journal.Database != 15 || s.SharedEpoch != 0 {
		t.Errorf("before the first call: %+v", s.Journal)
	}
	p.rdb.Ping(ctx)
	eventually(t, "the first look", func() bool { return p.h.Status().Journal.State == "primary" })
	before := p.h.Status()
	p.primary.Exhaust()
	for range 3 {
		if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a look at local", func() bool { return p.h.Status().Journal.Entries > 3 })
	s := p.h.Status()
	j := s.Journal
	if j.State != "local" || j.Written != 3 || j.Refused != 0 || j.Fenced != 0 || s.SharedEpoch != before.SharedEpoch+1 {
		t.Errorf("while local serves: epoch %d, %+v", s.SharedEpoch, j)
	}
	if age := time.Since(j.Oldest); age < 0 || age > time.Minute {
		t.Errorf("the oldest entry is %v old", age)
	}
	// One whose effect the primary does not take.
	if err := p.rdb.LPush(ctx, "list", 1).Err(); err != nil {
		t.Fatal(err)
	}
	p.primary.Renew()
	if err := p.primary.Data().Set("list", "no list"); err != nil {
		t.Fatal(err)
	}
	if n, err := p.h.Drain(ctx, 0); err != nil || n != 4 {
		t.Fatalf("Drain: %d, %v", n, err)
	}
	eventually(t, "the dead letter and no debt", func() bool {
		j := p.h.Status().Journal
		return j.Dead == 1 && j.Oldest.IsZero() && j.Spent > 0
	})
}

func TestStatusShowsTheProcesses(t *testing.T) {
	t.Parallel()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	one, two := pairOf(t, primary, local, nil, unlooked()), pairOf(t, primary, local, nil, unlooked())
	one.rdb.Ping(ctx)
	two.rdb.Ping(ctx)
	eventually(t, "both are seen", func() bool { return len(two.h.Status().Processes) == 2 })
	self := 0
	for _, p := range two.h.Status().Processes {
		if p.Self {
			self++
		}
		if p.ID == "" || p.PID != os.Getpid() || p.Serving != fallback.Primary || time.Since(p.Seen) > time.Minute {
			t.Errorf("%+v", p)
		}
	}
	if self != 1 {
		t.Errorf("%d of them are this one", self)
	}
	primary.Exhaust()
	if err := one.rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both use local", func() bool {
		all := two.h.Status().Processes
		return len(all) == 2 && all[0].Serving == fallback.Local && all[1].Serving == fallback.Local && all[0].Epoch == all[1].Epoch
	})
	if err := one.h.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one has left", func() bool { return len(two.h.Status().Processes) == 1 })
}

// One process probes for all, and the others see which.
func TestStatusShowsTheProberAndTheDrainer(t *testing.T) {
	t.Parallel()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	one, two := pairOf(t, primary, local, nil, quick()), pairOf(t, primary, local, nil, unlooked())
	one.rdb.Ping(ctx)
	two.rdb.Ping(ctx)
	id := func() string {
		for _, p := range one.h.Status().Processes {
			if p.Self {
				return p.ID
			}
		}
		return ""
	}
	eventually(t, "it knows itself", func() bool { return id() != "" })
	primary.Exhaust()
	if err := one.rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the prober", func() bool { return two.h.Status().Prober == id() })
	// A drain that waits for the primary.
	if s := two.h.Status(); s.Drainer != "" || s.Journal.State != "local" {
		t.Errorf("drainer %q, state %q", s.Drainer, s.Journal.State)
	}
	held := bareClient(t, local, func(o *redis.Options) { o.DB = 15 })
	if err := held.Set(ctx, "fallback:upstash:lease:drain", "another", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the drainer", func() bool {
		s := two.h.Status()
		return s.Drainer == "another" && s.Journal.State == "returning"
	})
}

func TestStatusShowsAFullJournal(t *testing.T) {
	t.Parallel()
	p := newPair(t, unlooked(), fallback.WithJournal(fallback.JournalConfig{Entries: 2}))
	p.primary.Exhaust()
	if err := p.rdb.MSet(ctx, "a", 1, "b", 1).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is past its first limit", func() bool { return p.h.Status().Journal.NamesOnly })
	if err := p.rdb.MSet(ctx, "c", 1, "d", 1).Err(); err != nil {
		t.Fatal(err)
	}
	if err := p.rdb.Incr(ctx, "e").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is full", func() bool { return p.h.Status().Journal.Full })
	if err := p.rdb.Set(ctx, "e", 1, 0).Err(); !errors.Is(err, fallback.ErrJournalFull) {
		t.Errorf("a write into a full journal: %v", err)
	}
	if err := p.rdb.Incr(ctx, "c").Err(); err != nil {
		t.Errorf("a write of a key whose name is there: %v", err)
	}
	if j := p.h.Status().Journal; j.Refused != 1 || j.Written != 4 || j.Names != 2 || !j.NamesOnly {
		t.Errorf("%+v", j)
	}
	for _, text := range []string{"past its first limit", "the journal is full"} {
		if n := strings.Count(p.log.String(), text); n != 1 {
			t.Errorf("%q is told %d times", text, n)
		}
	}
}

func TestStatusShowsWhatAReturnMet(t *testing.T) {
	t.Parallel()
	p := newPair(t, quick(), fallback.WithJournal(fallback.JournalConfig{Budget: 1}))
	p.primary.Exhaust()
	if err := p.rdb.Set(ctx, "a", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	p.primary.Renew()
	eventually(t, "a return that costs too much", func() bool { return p.h.Status().Journal.FailedReturns > 0 })
	if j := p.h.Status().Journal; j.LastFault == "" || time.Since(j.LastFaultAt) > time.Minute {
		t.Errorf("%+v", j)
	}
}
