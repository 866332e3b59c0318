package diagnosis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/diagnosis"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// well is a status of which there is nothing to be known.
func well(change func(*fallback.Status)) fallback.Status {
	s := fallback.Status{
		Enabled: true, Since: now.Add(-time.Hour), Reason: fallback.ReasonStart,
		Primary: fallback.BackendStatus{Name: "upstash", Breaker: "closed"}, Local: fallback.BackendStatus{Name: "local", Breaker: "closed"},
		Journal: fallback.JournalStatus{On: true}, Mirror: fallback.MirrorStatus{On: true},
	}
	if change != nil {
		change(&s)
	}
	return s
}

func onLocal(reason fallback.Reason) fallback.Status {
	return well(func(s *fallback.Status) {
		s.Serving, s.Reason, s.NextProbe, s.Journal.State = fallback.Local, reason, now.Add(90*time.Second), "local"
	})
}

func with(s fallback.Status, change func(*fallback.Status)) fallback.Status {
	change(&s)
	return s
}

func TestFindings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		s        fallback.Status
		level    diagnosis.Level
		codes    string
		headline string
		says     string // somewhere in the first finding
		answers  bool
	}{
		"well":       {well(nil), diagnosis.OK, "", "upstash serves.", "", true},
		"off":        {well(func(s *fallback.Status) { s.Enabled = false }), diagnosis.Warning, "off", "upstash serves. The fallback is switched off.", "REDIS_FALLBACK_URL", true},
		"quota":      {onLocal(fallback.ReasonQuota), diagnosis.Warning, "quota", "Local serves: upstash refuses for its limit.", "in 1m 30s", true},
		"outage":     {onLocal(fallback.ReasonOutage), diagnosis.Warning, "outage", "Local serves: upstash is gone or hangs.", "start it again", true},
		"storage":    {onLocal(fallback.ReasonStorage), diagnosis.Warning, "storage", "Local serves: the storage of upstash is full.", "until there is room", true},
		"pin":        {with(onLocal(fallback.ReasonPinned), func(s *fallback.Status) { s.Pinned = true }), diagnosis.Warning, "pinned", "Local serves: an operator pinned it.", "unpin", true},
		"pinned":     {well(func(s *fallback.Status) { s.Pinned = true }), diagnosis.Warning, "pinned", "upstash serves, pinned by an operator.", "nothing will trip", true},
		"returning":  {with(onLocal(fallback.ReasonQuota), func(s *fallback.Status) { s.Journal.State = "returning" }), diagnosis.Warning, "returning", "Local serves: upstash refuses for its limit.", "being delivered", true},
		"good":       {with(onLocal(fallback.ReasonQuota), func(s *fallback.Status) { s.GoodProbes, s.NextProbe = 2, now }), diagnosis.Warning, "quota", "Local serves: upstash refuses for its limit.", "looked at now, and some good probes in a row bring it back (2 good so far)", true},
		"same":       {well(func(s *fallback.Status) { s.SameServer = true }), diagnosis.Error, "same-server", "upstash serves.", "another server", true},
		"local down": {well(func(s *fallback.Status) { s.Local.Breaker = "open"; s.Local.LastFailure = "EOF" }), diagnosis.Error, "local-down", "upstash serves.", "EOF", true},
		"both down": {well(func(s *fallback.Status) {
			s.Primary.Breaker, s.Local.Breaker, s.Primary.LastFailure = "open", "open", "i/o timeout"
		}), diagnosis.Error, "down", "Neither server answers.", "i/o timeout", false},
		"local gone while it serves": {with(onLocal(fallback.ReasonQuota), func(s *fallback.Status) { s.Local.Breaker = "half-open" }), diagnosis.Error, "down quota", "Neither server answers.", "start local", false},
		"pinned and down":            {well(func(s *fallback.Status) { s.Pinned, s.Primary.Breaker = true, "open" }), diagnosis.Error, "down pinned", "Neither server answers.", "is pinned", false},
		"about to trip":              {well(func(s *fallback.Status) { s.Primary.Breaker = "open" }), diagnosis.OK, "", "upstash serves.", "", true},
		"names":                      {with(onLocal(fallback.ReasonQuota), func(s *fallback.Status) { s.Journal.NamesOnly = true }), diagnosis.Warning, "quota journal-names", "Local serves: upstash refuses for its limit.", "refuses for its limit", true},
		"full":                       {with(onLocal(fallback.ReasonQuota), func(s *fallback.Status) { s.Journal.Full = true }), diagnosis.Error, "journal-full quota", "Local serves: upstash refuses for its limit.", "writes are refused", true},
		"budget": {with(onLocal(fallback.ReasonQuota), func(s *fallback.Status) {
			s.Journal.LastFault, s.Journal.LastFaultAt = fallback.ErrBudget.Error(), now
		}), diagnosis.Error, "budget quota", "Local serves: upstash refuses for its limit.", "drain --return", true},
		"another primary": {with(onLocal(fallback.ReasonQuota), func(s *fallback.Status) {
			s.Journal.LastFault, s.Journal.LastFaultAt = fallback.ErrOtherPrimary.Error(), now
		}), diagnosis.Error, "other-primary quota", "Local serves: upstash refuses for its limit.", "drain --adopt", true},
		"an old fault": {with(onLocal(fallback.ReasonQuota), func(s *fallback.Status) {
			s.Journal.LastFault, s.Journal.LastFaultAt = "EOF", s.Since.Add(-time.Minute)
		}), diagnosis.Warning, "quota", "Local serves: upstash refuses for its limit.", "", true},
		"no journal": {well(func(s *fallback.Status) { s.Journal = fallback.JournalStatus{Off: "local is a Ring"} }), diagnosis.Warning, "no-journal", "upstash serves.", "local is a Ring", true},
		"dead":       {well(func(s *fallback.Status) { s.Journal.Dead = 3 }), diagnosis.Warning, "dead-letters", "upstash serves.", "redis-fallback dead", true},
		"mirror":     {well(func(s *fallback.Status) { s.Mirror.Stopped = true }), diagnosis.Warning, "mirror-stopped", "upstash serves.", "maxmemory", true},
		"unfit": {well(func(s *fallback.Status) {
			s.Journal.Warnings = []fallback.Warning{{Code: "persistence", Text: "a", Do: "b"}, {Code: "role", Text: "c", Do: "d"}}
		}), diagnosis.Error, "local-role local-persistence", "upstash serves.", "c", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := diagnosis.Of(c.s, now)
			var codes []string
			for _, f := range all {
				codes = append(codes, f.Code)
				if f.What == "" || f.Do == "" || strings.HasSuffix(f.What, ".") {
					t.Errorf("%+v", f)
				}
			}
			if got := strings.Join(codes, " "); got != c.codes {
				t.Errorf("it finds %q, want %q: %+v", got, c.codes, all)
			}
			if got := diagnosis.Worst(all); got != c.level {
				t.Errorf("the level is %s, want %s", got, c.level)
			}
			if len(all) > 0 && !strings.Contains(all[0].What+" "+all[0].Do+" "+all[0].Command, c.says) {
				t.Errorf("%+v does not say %q", all[0], c.says)
			}
			if got := diagnosis.Headline(c.s); got != c.headline {
				t.Errorf("the headline is %q, want %q", got, c.headline)
			}
			if got := diagnosis.Answers(c.s); got != c.answers {
				t.Errorf("answers: %v", got)
			}
		})
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 999 * time.Millisecond: "0s", 59 * time.Second: "59s", time.Minute: "1m 0s",
		3*time.Minute + 12*time.Second: "3m 12s", 2*time.Hour + 5*time.Minute + 9*time.Second: "2h 5m", 76 * time.Hour: "3d 4h",
	} {
		if got := diagnosis.Span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
