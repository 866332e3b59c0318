package fallback_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
)

// A local that is absent, or does not answer, when the program starts is nobody's trouble, and once it is
// back a trip is everybody's.
func TestLocalIsAbsentAtStart(t *testing.T) {
	t.Parallel()
	for name, absent := range map[string]struct{ goes, comes func(*fallbacktest.Server) }{
		"stopped": {(*fallbacktest.Server).Stop, func(s *fallbacktest.Server) { _ = s.Restart() }},
		"hung":    {(*fallbacktest.Server).Hang, (*fallbacktest.Server).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
			absent.goes(local)
			a := newProcess(t, primary, local, fallback.WithLocalCheck(10*time.Millisecond))
			b := newProcess(t, primary, local, fallback.WithLocalCheck(10*time.Millisecond))
			for _, p := range []*process{a, b} {
				if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
					t.Errorf("the first command: %v", err)
				}
			}
			primary.Exhaust()
			var limit *fallback.LimitError
			if err := a.rdb.Incr(ctx, "n").Err(); !errors.As(err, &limit) || a.h.Serving() != fallback.Primary {
				t.Errorf("with nobody to switch to: %v, want the primary's own error", err)
			}
			if err := a.h.Pin(fallback.Local); err == nil {
				t.Error("a pin that could not be kept is no error")
			}
			absent.comes(local)
			eventually(t, "the trip", func() bool { return a.rdb.Incr(ctx, "n").Err() == nil })
			eventually(t, "the trip of the other", func() bool { return b.rdb.Incr(ctx, "n").Err() == nil })
			if number(t, primary, "n") != 2 || number(t, local, "n") != 2 {
				t.Errorf("n is %d on the primary and %d on local, want 2 and 2", number(t, primary, "n"), number(t, local, "n"))
			}
		})
	}
}
