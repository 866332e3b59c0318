package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/diagnosis"
	"github.com/redis-fallback/fallback/internal/journal"
)

const statusUsage = `Shows what all processes that share a local agree on: which server serves and why, the journal, the
processes, whether local is fit to keep acknowledged writes, and what to do. Only local is asked; the primary
is not touched. Exits with 0 if local answers, whoever serves.

  REDIS_FALLBACK_URL=redis://:pw@localhost:6379 redis-fallback status
  redis-fallback status --watch              again each 2 s, until Ctrl-C
  redis-fallback status --json | jq -r .serving
  redis-fallback status --json --watch --every 10s >> fallback.log      one line each

`

// report is what status shows, as JSON. Times are local's.
type report struct {
	Name       string          `json:"name"`
	Database   int             `json:"database"`
	Used       bool            `json:"used"` // there is a record
	Serving    journal.Serving `json:"serving,omitempty"`
	Since      *time.Time      `json:"since,omitempty"`
	Now        *time.Time      `json:"now,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	Cause      string          `json:"cause,omitempty"`
	Epoch      uint64          `json:"epoch,omitempty"`
	Pin        journal.Serving `json:"pin,omitempty"`
	Prober     string          `json:"prober,omitempty"`
	Drainer    string          `json:"drainer,omitempty"`
	Journal    journalReport   `json:"journal"`
	Dead       int64           `json:"dead_letters"`
	Processes  []processReport `json:"processes"`
	Version    string          `json:"local_version,omitempty"`
	Durability string          `json:"durability,omitempty"`
	Warnings   []warningReport `json:"warnings"`

	Findings []diagnosis.Finding `json:"findings"`
}

type journalReport struct {
	Entries int64      `json:"entries"`
	Bytes   int64      `json:"bytes"`
	Oldest  *time.Time `json:"oldest_undelivered,omitempty"`
	// NamesOnly: it is past its first limit, and of Names keys has the name alone.
	NamesOnly bool  `json:"names_only"`
	Names     int64 `json:"names"`
	Full      bool  `json:"full"`
	Spent     int64 `json:"commands_spent"`
}

type processReport struct {
	ID      string          `json:"id"`
	Host    string          `json:"host"`
	PID     int             `json:"pid"`
	Serving journal.Serving `json:"serving"`
	Epoch   uint64          `json:"epoch"`
	Seen    time.Time       `json:"seen"`
}

type warningReport struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Do   string `json:"do"`
}

func status(ctx context.Context, args []string, out, stderr io.Writer) error {
	f := flags("status", statusUsage, stderr)
	where := placeFlags(f)
	asJSON := f.Bool("json", false, "write one JSON object")
	watched := f.Bool("watch", false, "look again and again, until Ctrl-C")
	every := f.Duration("every", 2*time.Second, "how `often` --watch looks")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || *every <= 0 {
		return fmt.Errorf("usage: redis-fallback status [--json] [--watch [--every 2s]] [--name NAME]")
	}
	store, err := where.store()
	if err != nil {
		return err
	}
	defer store.Client().Close()
	look := func(ctx context.Context, out io.Writer) error {
		r, fleet, err := where.look(ctx, store)
		if err != nil {
			return err
		}
		if *asJSON {
			return r.write(out, *watched)
		}
		if !r.Used {
			fmt.Fprintln(out, where.unused(r.Database))
		} else {
			r.show(out, fleet)
		}
		r.showFitness(out)
		r.showFindings(out)
		return nil
	}
	if *watched {
		return watch(ctx, out, *every, *asJSON, look)
	}
	return look(ctx, out)
}

// look asks local for all that is shown.
func (p place) look(ctx context.Context, store *journal.Store) (*report, *journal.Fleet, error) {
	fleet, err := known(ctx, store)
	if err != nil {
		return nil, nil, err
	}
	fit, err := journal.Examine(ctx, store.Client(), store.Database())
	if err != nil {
		return nil, nil, fmt.Errorf("local: %w", advice("REDIS_FALLBACK_URL", err))
	}
	return newReport(*p.name, store.Database(), fleet, fit), fleet, nil
}

// write writes it as JSON: on one line, where there will be more of them.
func (r *report) write(out io.Writer, oneLine bool) error {
	e := json.NewEncoder(out)
	if !oneLine {
		e.SetIndent("", "  ")
	}
	return e.Encode(r)
}

func newReport(name string, db int, f *journal.Fleet, fit journal.Fitness) *report {
	r := &report{
		Name: name, Database: db, Version: fit.Version, Durability: string(fit.Durability),
		Processes: []processReport{}, Warnings: []warningReport{},
	}
	for _, w := range fit.Warnings {
		r.Warnings = append(r.Warnings, warningReport{w.Code, w.Text, w.Do})
	}
	state := fallback.Status{
		Enabled: true, Primary: fallback.BackendStatus{Name: name}, Journal: fallback.JournalStatus{On: true, Warnings: warningsOf(fit)},
	}
	if f == nil {
		r.Findings = diagnosis.Of(state, time.Now())
		return r
	}
	rec := f.Record
	r.Used, r.Serving, r.Since, r.Now = true, rec.Serving, &rec.Since, &f.Now
	r.Reason, r.Cause, r.Epoch, r.Pin = rec.Reason, rec.Cause, rec.Epoch, rec.Pin
	r.Prober, r.Drainer, r.Dead = f.Prober.Holder, f.Drainer.Holder, f.Dead
	r.Journal = journalReport{Entries: f.Entries, Bytes: f.Bytes, Full: f.Full, Spent: rec.Spent}
	r.Journal.Names, r.Journal.NamesOnly = f.Names, f.NamesOnly
	if f.Oldest != (journal.ID{}) {
		at := time.UnixMilli(int64(f.Oldest.Ms)) //nolint:gosec // a time of these centuries
		r.Journal.Oldest = &at
	}
	for _, p := range f.Processes {
		r.Processes = append(r.Processes, processReport{p.ID, p.Host, p.PID, p.Serving, p.Epoch, p.Seen})
	}
	if rec.Serving != journal.Primary {
		state.Serving = fallback.Local
	}
	if f.Prober.Holder != "" {
		state.NextProbe = f.Now.Add(f.Prober.Left) // at the latest: who has the lease has some seconds more than it needs
	}
	state.Since, state.Reason, state.Pinned = rec.Since, fallback.Reason(rec.Reason), rec.Pin != ""
	state.Journal.State, state.Journal.Full, state.Journal.Dead = string(rec.Serving), f.Full, f.Dead
	if rec.Serving == journal.Local && f.Drainer.Holder != "" {
		state.Journal.State = "returning"
	}
	r.Findings = diagnosis.Of(state, f.Now)
	return r
}

func (r *report) show(out io.Writer, f *journal.Fleet) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, plain(fmt.Sprintf(format, args...)))
	}
	ago := func(at time.Time) time.Duration { return max(f.Now.Sub(at), 0).Round(time.Second) }
	row("serving", "%s, for %s, reason %s", r.Serving, diagnosis.Span(f.Now.Sub(*r.Since)), r.Reason)
	if r.Cause != "" {
		row("cause", "%s", r.Cause)
	}
	if r.Pin != "" {
		row("pinned", "on %s by an operator", r.Pin)
	}
	row("epoch", "%d", r.Epoch)
	debt := "the primary has all of it"
	if r.Journal.Oldest != nil {
		debt = fmt.Sprintf("the oldest that the primary does not have is %s old", ago(*r.Journal.Oldest))
	}
	if r.Journal.NamesOnly {
		debt += fmt.Sprintf("; it is past its first limit, and has the names alone of %s", plural(r.Journal.Names, "key", "keys"))
	}
	if r.Journal.Full {
		debt += "; it is full, and writes are refused"
	}
	row("journal", "%s, %s; %s", plural(r.Journal.Entries, "entry", "entries"), plural(r.Journal.Bytes, "byte", "bytes"), debt)
	row("dead letters", "%d", r.Dead)
	holder := func(id string) string {
		if id == "" {
			return "nobody"
		}
		return id
	}
	if r.Prober == "" {
		row("probing", "nobody")
	} else {
		row("probing", "%s, within %s", r.Prober, diagnosis.Span(f.Prober.Left))
	}
	row("delivering", "%s", holder(r.Drainer))
	row("processes", "%d", len(r.Processes))
	_ = w.Flush()
	for _, p := range r.Processes {
		fmt.Fprintf(w, "  %s\t%s\tpid %d\ton %s\tepoch %d\tseen %s ago\n", plain(p.ID), plain(p.Host), p.PID, p.Serving, p.Epoch, ago(p.Seen))
	}
	_ = w.Flush()
}

func (r *report) showFitness(out io.Writer) {
	durability := r.Durability
	if durability == "" {
		durability = "unknown: local does not say"
	}
	version := "does not say what it is"
	if r.Version != "" {
		version = "is Redis " + plain(r.Version)
	}
	fmt.Fprintf(out, "\nlocal %s, durability %s\n", version, durability)
}

// showFindings says what to do.
func (r *report) showFindings(out io.Writer) {
	if len(r.Findings) == 0 {
		fmt.Fprintln(out, "\nnothing has to be done")
		return
	}
	fmt.Fprintln(out, "\nwhat to do")
	for _, f := range r.Findings {
		fmt.Fprintf(out, "  %-7s  %s\n", f.Level, plain(f.What))
		for _, line := range []string{f.Do, f.Command} {
			if line != "" {
				fmt.Fprintf(out, "           %s\n", line)
			}
		}
	}
}
