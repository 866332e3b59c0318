package fallback

import (
	"time"
)

// Status is a snapshot of a Hook.
type Status struct {
	// Enabled is false for the hook of a FromEnv whose fallback is switched off.
	Enabled bool
	// Serving is the server that answers, since Since and for Reason.
	Serving Backend
	Since   time.Time
	Reason  Reason
	// Cause is the primary's error that led here; "" while it serves. No key and no value is in it.
	Cause string
	// Epoch counts the switches, pins included.
	Epoch uint64
	// Pinned is set between Pin and Unpin.
	Pinned bool
	// NextProbe is when the primary is looked at next; zero while it serves.
	NextProbe time.Time
	// GoodProbes is how many in a row have been good.
	GoodProbes int
	// SameServer is set when primary and local turned out to be one server: nothing will ever trip.
	SameServer bool

	Primary, Local BackendStatus

	// LocalSessions is how many connections of local are held for one Watch or Conn each.
	LocalSessions int64

	// Subscribers is how many subscribed connections the program has. Interrupted counts those whose
	// connection to the primary ended by itself: what they had not read by then is lost.
	Subscribers int
	Interrupted int64

	// Trips and Returns count the switches to local and back that were not an operator's; Switches counts
	// all, those of Pin included.
	Trips, Returns, Switches int64
	// Probes counts looks of this process at the primary, each one command.
	Probes int64
	// Refused counts limit refusals of the primary, Lost its lost replies, and Withheld the commands
	// that were kept off local.
	Refused, Lost, Withheld int64

	// Journal is what local keeps for the primary. SharedEpoch counts the changes of the record that
	// all processes of local share; it is 0 where they share none. Processes are those that were
	// heard of in the last minute and a half, Prober and Drainer the ids of the ones that look at the
	// primary and deliver the journal for all, "" where nobody does.
	Journal         JournalStatus
	SharedEpoch     uint64
	Processes       []Process
	Prober, Drainer string

	// Mirror is how warm local is kept.
	Mirror MirrorStatus
}

// BackendStatus is one server's part of a Status.
type BackendStatus struct {
	Name string
	// Breaker is "closed", "open" or "half-open"; Failures are those in a row that it has counted, until it
	// is closed again.
	Breaker  string
	Failures int
	// Answered counts commands, Failed attempts that failed, Connections those open, and Dials those
	// ever made, as far as they were made after the hook was added.
	Answered, Failed   int64
	Connections, Dials int64
	// FailedCommands counts attempts at a command that got no answer: refused, lost, or never sent.
	// FailedDials counts connections that could not be made.
	FailedCommands, FailedDials int64
	// LastFailure is the newest error and LastFailureAt its time.
	LastFailure   string
	LastFailureAt time.Time
}

// Status returns a snapshot. It does no I/O, takes no part in serving, and may be called at any time.
func (h *Hook) Status() Status {
	h.mu.Lock()
	e := h.era.Load()
	s := Status{NextProbe: h.probeAt, GoodProbes: h.plan.Successes()}
	h.mu.Unlock()

	s.Enabled = !h.off
	s.Serving, s.Since, s.Reason, s.Epoch, s.Pinned = e.serving, e.since, e.reason, e.epoch, e.pinned || e.leaving()
	s.Cause = plainText(e.cause)
	s.SameServer = h.sameServer.Load()
	if e.serving == Primary {
		s.GoodProbes = 0
	}
	s.Primary, s.Local = h.primary.status(), h.backup.status()
	s.Subscribers, s.Interrupted = len(h.ears.all()), h.cut.Load()
	s.LocalSessions = h.sessions.Load()
	s.Trips, s.Returns, s.Switches, s.Probes = h.trips.Load(), h.returns.Load(), h.switches.Load(), h.probes.Load()
	s.Refused, s.Lost, s.Withheld = h.refused.Load(), h.lost.Load(), h.withheld.Load()
	h.shared(&s, e)
	h.mirroring(&s)
	return s
}

func (s *side) status() BackendStatus {
	b := BackendStatus{
		Name: s.name, Breaker: s.breaker.State().String(), Failures: s.breaker.Failures(),
		Answered: s.ok.load(), Failed: s.failed.Load(),
		Connections: int64(s.conns.Len()), Dials: s.conns.Dialed(),
		FailedCommands: s.unanswered.Load(), FailedDials: s.undialed.Load(),
	}
	if l := s.last.Load(); l != nil {
		b.LastFailure, b.LastFailureAt = l.text, l.at
	}
	return b
}
