package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
)

const statusUsage = `Shows what all processes that share a local agree on: which server serves and why, the journal, the
processes, and whether local is fit to keep acknowledged writes. Only local is asked; the primary is not
touched. Exits with 0 if local answers, whoever serves.

  REDIS_FALLBACK_URL=redis://:pw@localhost:6379 redis-fallback status
  redis-fallback status --json | jq -r .serving

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
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("usage: redis-fallback status [--json] [--name NAME]")
	}
	store, fleet, err := where.open(ctx)
	if err != nil {
		return err
	}
	defer store.Client().Close()
	fit, err := journal.Examine(ctx, store.Client(), store.Database())
	if err != nil {
		return fmt.Errorf("local: %w", advice("REDIS_FALLBACK_URL", err))
	}
	r := newReport(*where.name, store.Database(), fleet, fit)
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	if !r.Used {
		fmt.Fprintln(out, where.unused(r.Database))
	} else {
		r.show(out, fleet)
	}
	r.showFitness(out)
	return nil
}

func newReport(name string, db int, f *journal.Fleet, fit journal.Fitness) *report {
	r := &report{
		Name: name, Database: db, Version: fit.Version, Durability: string(fit.Durability),
		Processes: []processReport{}, Warnings: []warningReport{},
	}
	for _, w := range fit.Warnings {
		r.Warnings = append(r.Warnings, warningReport{w.Code, w.Text, w.Do})
	}
	if f == nil {
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
	return r
}

func (r *report) show(out io.Writer, f *journal.Fleet) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, plain(fmt.Sprintf(format, args...)))
	}
	ago := func(at time.Time) time.Duration { return max(f.Now.Sub(at), 0).Round(time.Second) }
	row("serving", "%s, for %s, reason %s", r.Serving, ago(*r.Since), r.Reason)
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
	row("probing", "%s", holder(r.Prober))
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
	for _, w := range r.Warnings {
		fmt.Fprintf(out, "  warning: %s\n           %s\n", w.Text, w.Do)
	}
}
