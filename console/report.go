package console

import (
	"context"
	"slices"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/diagnosis"
)

// report is everything that is shown: the page is made of it, and status.json is it. What is not known, or
// has not happened, is null.
type report struct {
	At       time.Time           `json:"at"`
	Headline string              `json:"headline"`
	Level    diagnosis.Level     `json:"level"` // of the gravest finding
	Findings []diagnosis.Finding `json:"findings"`

	Enabled     bool       `json:"enabled"`
	Answers     bool       `json:"answers"`
	Degraded    bool       `json:"degraded"`
	State       string     `json:"state"` // primary, local, returning or closing
	Serving     string     `json:"serving"`
	Since       time.Time  `json:"since"`
	Seconds     float64    `json:"seconds"` // since then
	Reason      string     `json:"reason"`
	Cause       string     `json:"cause"`
	Pinned      bool       `json:"pinned"`
	Epoch       uint64     `json:"epoch"`
	SharedEpoch uint64     `json:"shared_epoch"`
	NextProbe   *time.Time `json:"next_probe"`
	GoodProbes  int        `json:"good_probes"`
	Prober      string     `json:"prober"`
	Drainer     string     `json:"drainer"`

	Primary server `json:"primary"`
	Local   server `json:"local"`
	Counts  counts `json:"counts"`

	Journal       journalPart   `json:"journal"`
	LocalWarnings []string      `json:"local_warnings"` // their codes; the findings say more
	Mirror        mirrorPart    `json:"mirror"`
	DeadLetters   []letterCount `json:"dead_letters"`
	Processes     []process     `json:"processes"`
	History       []change      `json:"history"` // the newest first
	Rates         []rate        `json:"rates"`
}

type server struct {
	Name          string     `json:"name"`
	Breaker       string     `json:"breaker"`
	Failures      int        `json:"failures"`
	Answered      int64      `json:"answered"`
	Failed        int64      `json:"failed"`
	PerSecond     *float64   `json:"per_second"`
	Connections   int64      `json:"connections"`
	Dials         int64      `json:"dials"`
	LastFailure   string     `json:"last_failure"`
	LastFailureAt *time.Time `json:"last_failure_at"`
}

type counts struct {
	Trips         int64 `json:"trips"`
	Returns       int64 `json:"returns"`
	Refused       int64 `json:"refused"`
	Lost          int64 `json:"lost"`
	Withheld      int64 `json:"withheld"`
	LocalSessions int64 `json:"local_sessions"`
	Subscribers   int   `json:"subscribers"`
	Interrupted   int64 `json:"interrupted_subscribers"`
}

type journalPart struct {
	On            bool       `json:"on"`
	Off           string     `json:"off"`
	Database      int        `json:"database"`
	Durability    string     `json:"durability"`
	Entries       int64      `json:"entries"`
	Bytes         int64      `json:"bytes"`
	Oldest        *time.Time `json:"oldest_undelivered"`
	Dead          int64      `json:"dead_letters"`
	Full          bool       `json:"full"`
	NamesOnly     bool       `json:"names_only"`
	Names         int64      `json:"names"`
	Written       int64      `json:"written"`
	Fenced        int64      `json:"fenced"`
	Refused       int64      `json:"refused"`
	Spent         int64      `json:"commands_spent"`
	FailedReturns int64      `json:"failed_returns"`
	LastFault     string     `json:"last_fault"`
	LastFaultAt   *time.Time `json:"last_fault_at"`
}

type mirrorPart struct {
	On            bool    `json:"on"`
	Off           string  `json:"off"`
	Complete      bool    `json:"complete"`
	Stopped       bool    `json:"stopped"`
	LagSeconds    float64 `json:"lag_seconds"`
	Queued        int64   `json:"queued"`
	Bytes         int64   `json:"bytes"`
	Mirrored      int64   `json:"mirrored"`
	Dropped       int64   `json:"dropped"`
	Unsure        int64   `json:"unsure"`
	Cold          int64   `json:"cold"`
	Hydrated      int64   `json:"hydrated"`
	HydrationCost int64   `json:"hydration_cost"`
	Waiting       int64   `json:"waiting"`
	Misses        int64   `json:"misses"`
	Cleaned       int64   `json:"cleaned"`
	Emptied       int64   `json:"emptied"`
}

type process struct {
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Serving string    `json:"serving"`
	Epoch   uint64    `json:"epoch"`
	Seen    time.Time `json:"seen"`
	Self    bool      `json:"self"`
}

type change struct {
	Epoch  uint64    `json:"epoch"`
	At     time.Time `json:"at"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason string    `json:"reason"`
	Cause  string    `json:"cause"`
	Lasted float64   `json:"lasted_seconds"` // how long From had served
}

// report looks at the hook now.
func (c *console) report(ctx context.Context) *report {
	s, now := c.h.Status(), time.Now()
	r := &report{
		At: now.UTC(), Headline: diagnosis.Headline(s), Findings: diagnosis.Of(s, now),
		Enabled: s.Enabled, Answers: diagnosis.Answers(s), Degraded: degraded(s), State: state(s),
		Serving: s.Serving.String(), Since: s.Since.UTC(), Seconds: now.Sub(s.Since).Seconds(), Reason: string(s.Reason),
		Cause: s.Cause, Pinned: s.Pinned, Epoch: s.Epoch, SharedEpoch: s.SharedEpoch,
		NextProbe: known(s.NextProbe), GoodProbes: s.GoodProbes, Prober: s.Prober, Drainer: s.Drainer,
		Counts:  counts{s.Trips, s.Returns, s.Refused, s.Lost, s.Withheld, s.LocalSessions, s.Subscribers, s.Interrupted},
		Journal: newJournalPart(s.Journal), Mirror: newMirrorPart(s.Mirror),
		DeadLetters: c.letters.counts(ctx, s.Journal.Dead),
		Rates:       c.rates.observe(s, now),
		Processes:   []process{}, History: []change{},
	}
	for _, w := range s.Journal.Warnings {
		r.LocalWarnings = append(r.LocalWarnings, w.Code)
	}
	r.Level = diagnosis.Worst(r.Findings)
	r.Primary, r.Local = newServer(s.Primary), newServer(s.Local)
	if n := len(r.Rates); n > 0 && now.Sub(r.Rates[n-1].To) < sampleGap {
		r.Primary.PerSecond, r.Local.PerSecond = &r.Rates[n-1].Primary, &r.Rates[n-1].Local
	}
	for _, p := range s.Processes {
		r.Processes = append(r.Processes, process{p.ID, p.Host, p.PID, p.Serving.String(), p.Epoch, p.Seen.UTC(), p.Self})
	}
	for _, ev := range slices.Backward(c.h.History()) {
		r.History = append(r.History, change{
			ev.Epoch, ev.At.UTC(), ev.From.String(), ev.To.String(), string(ev.Reason), ev.CauseText(), ev.Lasted.Seconds(),
		})
	}
	return r
}

// state is who serves, or that it is about to change.
func state(s fallback.Status) string {
	if s.Serving == fallback.Local && (s.Journal.State == "returning" || s.Journal.State == "closing") {
		return s.Journal.State
	}
	return s.Serving.String()
}

func newServer(b fallback.BackendStatus) server {
	return server{
		Name: b.Name, Breaker: b.Breaker, Failures: b.Failures, Answered: b.Answered, Failed: b.Failed,
		Connections: b.Connections, Dials: b.Dials, LastFailure: b.LastFailure, LastFailureAt: known(b.LastFailureAt),
	}
}

func newJournalPart(j fallback.JournalStatus) journalPart {
	return journalPart{
		j.On, j.Off, j.Database, j.Durability, j.Entries, j.Bytes, known(j.Oldest), j.Dead, j.Full, j.NamesOnly, j.Names,
		j.Written, j.Fenced, j.Refused, j.Spent, j.FailedReturns, j.LastFault, known(j.LastFaultAt),
	}
}

func newMirrorPart(m fallback.MirrorStatus) mirrorPart {
	return mirrorPart{
		m.On, m.Off, m.Complete, m.Stopped, m.Lag.Seconds(), m.Queued, m.Bytes, m.Mirrored, m.Dropped, m.Unsure, m.Cold,
		m.Hydrated, m.HydrationCost, m.Waiting, m.Misses, m.Cleaned, m.Emptied,
	}
}

// known is a time, or nil where there is none.
func known(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}
