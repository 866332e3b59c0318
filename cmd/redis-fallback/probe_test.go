package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
)

func TestProbe(t *testing.T) {
	a := outOfQuota(t, 3)
	t.Setenv("REDIS_FALLBACK_PROBE_EVERY", "30ms")
	says(t, 1, []string{"probe"}, "the primary does not take it", "max requests limit exceeded")
	says(t, 1, []string{"probe", "--return"}, "the primary does not take it")
	a.primary.Renew()
	before := a.primary.Count("SET")
	says(t, 0, []string{"probe"}, "the primary answers", "1 good in a row", "local serves")
	if n := a.primary.Count("SET") - before; n != 1 {
		t.Errorf("a probe is %d commands", n)
	}
	says(t, 0, []string{"probe", "--return"}, "1 good in a row", "2 good in a row", "primary serves")
	if n, err := a.rdb.Get(t.Context(), "n0").Int(); err != nil || n != 1 || a.h.Serving() != fallback.Primary {
		t.Errorf("%d, %v, %v", n, err, a.h.Serving())
	}
	if v, _ := a.primary.Data().Get("n0"); v != "1" {
		t.Errorf("the primary has %q", v)
	}
	var r probeReport
	if err := json.Unmarshal([]byte(says(t, 0, []string{"probe", "--json"})), &r); err != nil || !r.Answered || r.Serving != "primary" || r.Probes != 1 {
		t.Errorf("%v, %+v", err, r)
	}
	says(t, 0, []string{"probe", "--return"}, "primary serves")
}

// A journal that cannot be delivered is why the primary does not serve.
func TestProbeSaysWhyItDoesNotReturn(t *testing.T) {
	a := outOfQuota(t, 20)
	a.stop()
	a.primary.Renew()
	t.Setenv("REDIS_FALLBACK_PROBE_EVERY", "10ms")
	t.Setenv("REDIS_FALLBACK_JOURNAL_BUDGET", "5")
	says(t, 1, []string{"probe", "--return"}, "cannot take the journal", "redis-fallback drain")
}

// audience is what a command is shown to. It is told of all that it has been shown each time.
type audience struct {
	shown strings.Builder
	told  func(string)
}

func (a *audience) Write(b []byte) (int, error) {
	a.shown.Write(b)
	a.told(a.shown.String())
	return len(b), nil
}

// A watch goes on while local is gone, and its end is no error.
func TestWatch(t *testing.T) {
	a := outOfQuota(t, 1)
	for _, c := range []struct {
		args  []string
		serve string // what each look shows while local is there
		gone  string
	}{
		{[]string{"status", "--watch", "--every", "5ms"}, "local, for", "local: not reachable"},
		{[]string{"status", "--watch", "--every", "5ms", "--json"}, `"findings":[{"level":"warning","code":"quota"`, `{"error":"local: not reachable`},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out := &audience{}
		out.told = func(shown string) {
			switch {
			case strings.Count(shown, c.gone) >= 2:
				cancel()
			case strings.Count(shown, c.serve) == 2:
				a.local.Stop()
			}
		}
		code := run(ctx, c.args, out, out)
		if shown := out.shown.String(); code != 0 || strings.Count(shown, c.gone) < 2 || strings.Contains(shown, "\x1b") {
			t.Errorf("%v: exit %d\n%s", c.args, code, shown)
		}
		cancel()
		if err := a.local.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	says(t, 1, []string{"status", "--watch", "--every", "0s"}, "usage")
}
