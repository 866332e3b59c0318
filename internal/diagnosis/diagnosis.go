// Package diagnosis reads a status: what is wrong, and what the person on call can do about it. It is one
// table for the page and the command line, so that both give the same advice.
package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis-fallback/fallback"
)

// Level says how grave a finding is.
type Level string

// The levels. An error costs calls or acknowledged writes, or will; a warning can wait until the morning.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Error   Level = "error"
)

// Finding is one thing to know. No text of it has a key, a value or a password in it.
type Finding struct {
	Level Level  `json:"level"`
	Code  string `json:"code"` // one of a few words, for programs
	What  string `json:"what"`
	Do    string `json:"do,omitempty"`
	// Command is the command line that does it, where there is one.
	Command string `json:"command,omitempty"`
}

// subject is what is being diagnosed. A breaker that is not known is "".
type subject struct {
	fallback.Status
	now time.Time
}

// Of returns what is to be known of a status, the gravest first. It is empty where all is well.
func Of(s fallback.Status, now time.Time) []Finding {
	p := subject{s, now}
	if !s.Enabled {
		return []Finding{{
			Warning, "off", "the fallback is switched off: when the primary refuses or is gone, calls fail",
			"set REDIS_FALLBACK_URL to the second Redis, and start the application again", "redis-fallback doctor",
		}}
	}
	all := []Finding{}
	for _, look := range []func() *Finding{
		p.sameServer, p.nobody, p.localGone, p.serving, p.pinned, p.full, p.fault, p.journalless, p.dead, p.mirror,
	} {
		if f := look(); f != nil {
			all = append(all, *f)
		}
	}
	for _, w := range s.Journal.Warnings {
		all = append(all, Finding{warningLevel(w.Code), "local-" + w.Code, w.Text, w.Do, ""})
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return rank(b.Level) - rank(a.Level) })
	return all
}

// Answers reports whether some server answers calls, as far as the breakers know.
func Answers(s fallback.Status) bool {
	if s.Serving == fallback.Local {
		return s.Local.Breaker != open && s.Local.Breaker != halfOpen
	}
	if s.Primary.Breaker != open && s.Primary.Breaker != halfOpen {
		return true
	}
	// The primary fails. A trip comes with the next call, unless nothing can take over.
	return s.Enabled && !s.Pinned && !s.SameServer && s.Local.Breaker != open && s.Local.Breaker != halfOpen
}

const (
	open     = "open"
	halfOpen = "half-open"
)

// Worst is the level of the gravest finding.
func Worst(all []Finding) Level {
	if len(all) == 0 {
		return OK
	}
	return slices.MaxFunc(all, func(a, b Finding) int { return rank(a.Level) - rank(b.Level) }).Level
}

func rank(l Level) int { return slices.Index([]Level{OK, Warning, Error}, l) }

// warningLevel: what stops local from taking over, or from taking writes, is an error.
func warningLevel(code string) Level {
	switch code {
	case "version", "role", "database", "file", "replicas":
		return Error
	}
	return Warning
}

// Headline says in one sentence who serves, and why.
func Headline(s fallback.Status) string {
	name := s.Primary.Name
	switch {
	case !s.Enabled:
		return name + " serves. The fallback is switched off."
	case !Answers(s):
		return "Neither server answers."
	case s.Serving == fallback.Primary && s.Pinned:
		return name + " serves, pinned by an operator."
	case s.Serving == fallback.Primary:
		return name + " serves."
	}
	return "Local serves: " + because(s) + "."
}

func because(s fallback.Status) string {
	name := s.Primary.Name
	switch s.Reason {
	case fallback.ReasonQuota:
		return name + " refuses for its limit"
	case fallback.ReasonStorage:
		return "the storage of " + name + " is full"
	case fallback.ReasonOutage:
		return name + " is gone or hangs"
	case fallback.ReasonPinned:
		return "an operator pinned it"
	case fallback.ReasonStart, fallback.ReasonRecovered:
	}
	return string(s.Reason)
}

// Span is a time as a person reads it: its two largest units.
func Span(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	day := 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
}

// contains reports whether the text of one of our errors stands in a fault.
func contains(fault string, err error) bool { return strings.Contains(fault, err.Error()) }
