package main

import (
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/crash/check"
)

// outage is the quota of all processes, from early on; faults happen in it or in the return that ends it.
func outage(faults ...event) []event {
	plan := []event{{at: 300 * time.Millisecond, fault: quotaAll, who: everybody, last: 800 * time.Millisecond}}
	for _, e := range faults {
		e.at, e.who, e.last = 300*time.Millisecond, everybody, patience // at most: each ends with its step
		plan = append(plan, e)
	}
	return plan
}

// planned are the runs in which mistakes are planted: what each needs waits for its step of the protocol,
// so that it does not depend on luck.
var planned = map[string]struct {
	faults []event
	found  func(result) bool
}{
	"swap":        {outage(), broken(check.Disordered)},
	"no-deadline": {outage(), broken(check.Expiry)},
	"no-compare":  {outage(event{fault: drainPass}), broken(check.Doubled)},
	"no-doubt":    {outage(event{fault: drainEvict}), broken(check.Doubled)},
	"no-fence":    {outage(event{fault: sleepOver}), func(r result) bool { return r.outcome != nil && r.undelivered > 0 }},
}

// elsewhere names the tests that plant the mistakes of the mirror.
var elsewhere = map[string]string{
	"keep-unsure": "TestKeysThatAreKeptAreFound",
	"no-claims":   "TestWithoutClaimsAKilledProcessLeavesStaleKeys, of internal/mirror",
}

func plannedRun(plan []event, bug string) settings {
	return settings{
		span: 2 * time.Second, settle: time.Minute, processes: 4, callers: 4, pause: 30 * time.Millisecond, bug: bug, plan: plan,
	}
}

// TestEachBugIsFound plants a mistake in the processes, and lets happen what it is there against.
func TestEachBugIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	needRedis(t)
	for bug := range bugs {
		if elsewhere[bug] != "" {
			continue
		}
		c, ok := planned[bug]
		if !ok {
			t.Errorf("nothing is planned for %s", bug)
			continue
		}
		t.Run(bug, func(t *testing.T) {
			r := plannedRun(c.faults, bug).once(t.Context(), 1, t.TempDir())
			if !c.found(r) {
				var out strings.Builder
				newTotal(&out).add(r, true)
				t.Errorf("not found:\n%s", out.String())
			}
		})
	}
}

// TestWithoutABugNothingIsFound lets the same happen to processes without a mistake.
func TestWithoutABugNothingIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	needRedis(t)
	for bug, met := range map[string]string{
		"no-compare": "overtakes it",
		"no-doubt":   "meets: evict a drain's position",
		"no-fence":   "the primary serves: true",
	} {
		t.Run(bug, func(t *testing.T) {
			r := plannedRun(planned[bug].faults, "").once(t.Context(), 1, t.TempDir())
			var out strings.Builder
			newTotal(&out).add(r, true)
			if r.bad() || planned[bug].found(r) || !strings.Contains(out.String(), met) {
				t.Errorf("it is bad, or lacks %q:\n%s", met, out.String())
			}
			t.Log(out.String())
		})
	}
}

// broken reports that one of the laws was.
func broken(laws ...check.Law) func(result) bool {
	return func(r result) bool {
		if r.outcome == nil {
			return false
		}
		for _, l := range laws {
			if r.Count(l) > 0 {
				return true
			}
		}
		return false
	}
}

func TestABugHasAName(t *testing.T) {
	t.Parallel()
	if err := plantBug(""); err != nil {
		t.Error(err)
	}
	if err := plantBug("butterfly"); err == nil {
		t.Error("a butterfly is a bug")
	}
}
