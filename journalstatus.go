package fallback

import (
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
)

// JournalStatus is the journal's part of a Status: what local keeps for the primary, as it was at this
// process's last look at local. It looks each second while local serves, else each 30 s.
type JournalStatus struct {
	// On is set where there is a journal. Off says why there is none.
	On  bool
	Off string
	// Database is the number of local's database that it lies in.
	Database int
	// Durability is what a local that is killed still has of what it acknowledged: "always"
	// (everything), "second" (all but the last second), "none", or "" where it does not say.
	Durability string
	// State is "primary" or "local" by who serves, "returning" while the journal is being delivered
	// and local still serves, "closing" for the moment in which writes wait for its end, and "" until
	// local has been heard of.
	State string
	// Entries and Bytes are what it holds, delivered entries that are kept for ten minutes included.
	Entries, Bytes int64
	// Oldest is when the oldest write was made that the primary does not have, by local's clock;
	// zero where it has all.
	Oldest time.Time
	// Dead counts the dead letters: see DeadLetters.
	Dead int64
	// NamesOnly is set once the journal has passed its first limit: of a key that local holds whole it
	// keeps the name, and the key is delivered as it is in the end. Names counts these keys. It stays so
	// until the primary serves.
	NamesOnly bool
	Names     int64
	// Full is set while writes are refused with ErrJournalFull.
	Full bool

	// Written counts the entries that this process has written, Fenced its writes that met a switch
	// and went to the other server, and Refused those that found the journal full.
	Written, Fenced, Refused int64
	// Spent is how many commands deliveries have cost the primary since the last trip.
	Spent int64

	// Delivered counts the entries that this process has delivered, and DeliveryCost the commands that
	// this sent to the primary.
	Delivered, DeliveryCost int64

	// FailedReturns counts the returns of this process that failed, LastFault is the newest such
	// error and LastFaultAt its time.
	FailedReturns int64
	LastFault     string
	LastFaultAt   time.Time

	// Warnings are what local's own settings put at risk. Each was logged once.
	Warnings []Warning
}

// Warning is something about local that can cost acknowledged writes, or is in the way.
type Warning struct {
	// Code is one of version, role, database, persistence, file, eviction, expiring, memory,
	// replication, replicas and password.
	Code string
	Text string // what is wrong, and what comes of it
	Do   string // what to do about it
}

// Process is one of the processes that share local.
type Process struct {
	ID      string
	Host    string
	PID     int
	Serving Backend   // the server it uses
	Epoch   uint64    // of the shared record it knows of
	Seen    time.Time // when it was last heard of, by local's clock
	Self    bool      // it is this one
}

// shared fills in what all processes of local agree on.
func (h *Hook) shared(s *Status, e *era) {
	j := &s.Journal
	j.Off = h.noJournal()
	j.On = j.Off == ""
	sh := h.share
	if sh == nil {
		return
	}
	j.Database = sh.store.Database()
	j.Written, j.Fenced, j.Refused = sh.noted.Load(), sh.fenced.Load(), sh.turnedAway.Load()
	j.Delivered, j.DeliveryCost = sh.delivered.Load(), sh.deliveryCost.Load()
	j.FailedReturns = sh.returnsFailed.Load()
	if l := sh.lastFault.Load(); l != nil {
		j.LastFault, j.LastFaultAt = l.text, l.at
	}
	if f := sh.fit.Load(); f != nil {
		j.Durability = string(f.Durability)
		for _, w := range f.Warnings {
			j.Warnings = append(j.Warnings, Warning{w.Code, w.Text, w.Do})
		}
	}
	if rec := e.rec; rec != nil {
		s.SharedEpoch, j.State = rec.Epoch, string(rec.Serving)
	}
	f := sh.fleet.Load()
	if f != nil {
		j.Entries, j.Bytes, j.Dead, j.Full, j.Spent = f.Entries, f.Bytes, f.Dead, f.Full, f.Record.Spent
		j.NamesOnly, j.Names = f.NamesOnly, f.Names
		if f.Oldest != (journal.ID{}) {
			j.Oldest = time.UnixMilli(int64(f.Oldest.Ms)) //nolint:gosec // a time of these centuries
		}
		s.Prober, s.Drainer = f.Prober.Holder, f.Drainer.Holder
		for _, p := range f.Processes {
			b := Primary
			if p.Serving != journal.Primary {
				b = Local
			}
			s.Processes = append(s.Processes, Process{p.ID, p.Host, p.PID, b, p.Epoch, p.Seen, p.ID == sh.self.ID})
		}
	}
	if sh.delivering.Load() {
		s.Drainer = sh.self.ID
	}
	if j.State == string(journal.Local) && s.Drainer != "" {
		j.State = "returning"
	}
}
