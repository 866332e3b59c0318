package fallback_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
)

// A trip and a return under load are one log line each, with why and for how long.
func TestASwitchUnderLoadIsTwoLines(t *testing.T) {
	t.Parallel()
	primary := fallbacktest.Run(t)
	p := newProcess(t, primary, redistest.Start(t), unlooked())
	p.rdb.Ping(ctx)
	eventually(t, "the first look", func() bool { return p.h.Status().Journal.Durability != "" })
	var calls, failed atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 64 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond): // a load, not all that there is
				}
				if p.rdb.Incr(ctx, "n").Err() != nil {
					failed.Add(1)
				}
				calls.Add(1)
			}
		})
	}
	more := func() {
		from := calls.Load()
		eventually(t, "a thousand calls", func() bool { return calls.Load() > from+1000 })
	}
	more()
	before := p.log.String()
	primary.Exhaust()
	more()
	primary.Renew()
	eventually(t, "the return", func() bool {
		_ = p.h.Probe(ctx)
		return p.h.Serving() == fallback.Primary
	})
	more()
	close(stop)
	wg.Wait()
	if err := p.h.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	late := p.h.Status().Journal.FailedReturns > 0 // a machine with much else to do
	var written []string
	for line := range strings.SplitSeq(strings.TrimSpace(strings.TrimPrefix(p.log.String(), before)), "\n") {
		if !late || !strings.Contains(line, "could not be delivered") {
			written = append(written, line)
		}
	}
	want := [][]string{
		{"switched to local", "reason=quota", "took=", "after=", "limit_kind=requests", "limit=500000", "usage="},
		{"the primary serves again", "reason=recovered", "took=", "after="},
	}
	if len(written) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(written), len(want), strings.Join(written, "\n"))
	}
	for i := range want {
		for _, part := range want[i] {
			if !strings.Contains(written[i], part) {
				t.Errorf("%q is not in %s", part, written[i])
			}
		}
	}
	if failed.Load() > 0 {
		t.Errorf("%d of %d calls have failed", failed.Load(), calls.Load())
	}
}

// A pin says where the service is held.
func TestAPinIsLogged(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]fallback.Option{
		"shared": fallback.WithJournal(fallback.JournalConfig{}),
		"alone":  fallback.WithJournal(fallback.JournalConfig{Database: -1}),
	} {
		p := newPair(t, opt)
		p.h.Pin(fallback.Primary)
		p.h.Pin(fallback.Local)
		p.h.Unpin()
		if err := p.h.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		var pins []string
		for line := range strings.SplitSeq(p.log.String(), "\n") {
			if _, pin, ok := strings.Cut(line, " pin="); ok {
				pins = append(pins, pin)
			}
		}
		if got := strings.Join(pins, " "); got != "primary local none" {
			t.Errorf("%s: the pins that were logged: %q\n%s", name, got, p.log)
		}
	}
}
