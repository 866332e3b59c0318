package diagnosis

import (
	"fmt"
	"time"

	"github.com/redis-fallback/fallback"
)

func (p subject) sameServer() *Finding {
	if !p.SameServer {
		return nil
	}
	return &Finding{
		Error, "same-server", "primary and local are one server: nothing can take over",
		"give the application another server as local (REDIS_FALLBACK_URL, or the client given to New)", "redis-fallback doctor",
	}
}

// nobody is both servers down.
func (p subject) nobody() *Finding {
	if Answers(p.Status) {
		return nil
	}
	what := "calls fail: neither server answers"
	if p.Serving == fallback.Primary && p.Pinned {
		what = "calls fail: the primary does not answer, and is pinned"
	}
	if last := p.lastFailure(); last != "" {
		what += "; the last error: " + last
	}
	return &Finding{Error, "down", what, "start local, which is yours; both are looked at all the time", "redis-fallback doctor"}
}

func (p subject) lastFailure() string {
	if p.Serving == fallback.Local {
		return p.Local.LastFailure
	}
	return p.Primary.LastFailure
}

// localGone is a local that could not take over.
func (p subject) localGone() *Finding {
	if p.Serving == fallback.Local || p.Local.Breaker != open || !Answers(p.Status) {
		return nil
	}
	return &Finding{
		Error, "local-down", "local does not answer: if the primary refuses or goes now, calls fail" + after(p.Local.LastFailure),
		"start local, or mend its address and password", "redis-fallback doctor",
	}
}

func after(text string) string {
	if text == "" {
		return ""
	}
	return "; the last error: " + text
}

// serving says what becomes of a time on local.
func (p subject) serving() *Finding {
	if p.Serving != fallback.Local || p.Reason == fallback.ReasonPinned {
		return nil
	}
	f := &Finding{Level: Warning, Code: string(p.Reason), What: because(p.Status)}
	if p.Journal.State == "returning" || p.Journal.State == "closing" {
		f.Code, f.Do = "returning", "nothing: what local holds is being delivered, and then the primary serves"
		return f
	}
	f.Do = "nothing has to be done: " + p.nextLook()
	switch p.Reason {
	case fallback.ReasonQuota:
		f.Do += ". To be back sooner, raise the limit at the provider, and then:"
	case fallback.ReasonStorage:
		f.Do += ". It stays until there is room: delete there, or take a larger plan, and then:"
	case fallback.ReasonOutage:
		f.Do += ". To be back sooner, start it again, and then:"
	case fallback.ReasonStart, fallback.ReasonPinned, fallback.ReasonRecovered:
	}
	f.Command = "redis-fallback probe --return"
	return f
}

func (p subject) nextLook() string {
	good := ""
	if p.GoodProbes > 0 {
		good = fmt.Sprintf(" (%d good so far)", p.GoodProbes)
	}
	when := "it is looked at again and again"
	switch left := p.NextProbe.Sub(p.now); {
	case p.NextProbe.IsZero():
	case left < time.Second:
		when = "it is looked at now"
	default:
		when = "it is looked at in " + Span(left)
	}
	return when + ", and some good probes in a row bring it back" + good
}

func (p subject) pinned() *Finding {
	if !p.Pinned {
		return nil
	}
	f := &Finding{Warning, "pinned", "an operator has pinned the primary: nothing will trip", "once that is no longer wanted:", "redis-fallback unpin"}
	if p.Serving == fallback.Local {
		f.What = "an operator has pinned the service, and local serves: nothing brings the primary back by itself"
	}
	return f
}

func (p subject) full() *Finding {
	switch j := p.Journal; {
	case j.NamesOnly && !j.Full:
		return &Finding{
			Warning, "journal-names", "the journal is past its first limit: of keys that local holds whole it keeps the names alone, scripts are refused, and at twice that all writes",
			"deliver it as soon as the primary takes commands, or raise its bounds (REDIS_FALLBACK_JOURNAL_ENTRIES, REDIS_FALLBACK_JOURNAL_BYTES)",
			"redis-fallback drain --dry-run",
		}
	case !j.Full:
		return nil
	}
	return &Finding{
		Error, "journal-full", "the journal is full: writes are refused",
		"deliver it as soon as the primary takes commands, or raise its bounds (REDIS_FALLBACK_JOURNAL_ENTRIES, REDIS_FALLBACK_JOURNAL_BYTES)",
		"redis-fallback drain --dry-run",
	}
}

// fault is why the last delivery of this time on local failed.
func (p subject) fault() *Finding {
	j := p.Journal
	if p.Serving != fallback.Local || j.LastFault == "" || j.LastFaultAt.Before(p.Since) {
		return nil
	}
	f := &Finding{Warning, "delivery", "the journal could not be delivered: " + j.LastFault, "it is tried again with the next good probes", "redis-fallback drain --dry-run"}
	switch {
	case contains(j.LastFault, fallback.ErrBudget):
		f.Level, f.Code, f.Do, f.Command = Error, "budget", "look what it costs, and deliver it:", "redis-fallback drain --return"
	case contains(j.LastFault, fallback.ErrOtherPrimary):
		f.Level, f.Code, f.Command = Error, "other-primary", "redis-fallback drain --adopt"
		f.Do = "is REDIS_URL right? Only if the journal is to go to that primary from now on:"
	}
	return f
}

func (p subject) journalless() *Finding {
	if p.Journal.On || p.Journal.Off == "" {
		return nil
	}
	return &Finding{
		Warning, "no-journal", "what local acknowledges while it serves stays there: " + p.Journal.Off,
		"mend it while the primary serves", "redis-fallback doctor",
	}
}

func (p subject) dead() *Finding {
	if p.Journal.Dead == 0 {
		return nil
	}
	return &Finding{
		Warning, "dead-letters", fmt.Sprintf("writes that the primary did not take, or may not have: %d", p.Journal.Dead),
		"look at them, and send them again or drop them:", "redis-fallback dead",
	}
}

func (p subject) mirror() *Finding {
	if !p.Mirror.On || !p.Mirror.Stopped {
		return nil
	}
	return &Finding{
		Warning, "mirror-stopped", "local has used 70 % of its memory: it is no longer kept warm, the rest is the journal's",
		"give local more memory (maxmemory), or mirror less (MirrorConfig.Filter)", "",
	}
}
