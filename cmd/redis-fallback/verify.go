package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
)

const verifyUsage = `Compares local with the primary, key by key: type, value, and expiry to within a second. Each key that is
different is listed by its name, so mind where the list goes; values are not shown. Applications may run
meanwhile: a key that differs is looked at again for a second, and one that is written all the time is
counted as busy. A key costs the primary about two commands.

  redis-fallback verify                  every key
  redis-fallback verify --sample 1000    so many, taken at random
  redis-fallback verify --repair         copy what differs, however large, and delete what only local has

Exits with 1 if differences are left. REDIS_URL is the primary, REDIS_FALLBACK_URL is local.

`

// verifyReport is what a verify came to, as JSON.
type verifyReport struct {
	Keys        int64              `json:"keys"`
	Compared    int64              `json:"compared"`
	Same        int64              `json:"same"`
	Missing     int64              `json:"missing"`
	Extra       int64              `json:"extra"`
	Different   int64              `json:"different"`
	Repaired    int64              `json:"repaired"`
	Busy        int64              `json:"busy"`
	Commands    int64              `json:"commands"`
	Differences []differenceReport `json:"differences"`
	Error       string             `json:"error,omitempty"`
}

type differenceReport struct {
	Key      string                `json:"key"`
	DB       string                `json:"db,omitempty"`
	Kind     mirror.DifferenceKind `json:"kind"`
	Repaired bool                  `json:"repaired"`
}

func verify(ctx context.Context, args []string, out, stderr io.Writer) error {
	f := flags("verify", verifyUsage, stderr)
	where := placeFlags(f)
	sample := f.Int("sample", 0, "compare `N` keys, taken at random; 0 is all")
	repair := f.Bool("repair", false, "copy what differs, and delete what only local has")
	budget := f.Int64("budget", 0, "send the primary at most `N` commands; 0 is no bound")
	rate := f.Int("rate", 0, "compare at most `N` keys a second; 0 is no bound")
	asJSON := f.Bool("json", false, "write one JSON object at the end")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || *sample < 0 || *budget < 0 || *rate < 0 {
		return errors.New("usage: redis-fallback verify [--sample N] [--repair] [--budget N] [--rate N] [--json] [--name NAME]")
	}
	c, done, err := where.copier(ctx, *repair)
	if err != nil {
		return err
	}
	defer done()
	report := verifyReport{Differences: []differenceReport{}}
	o := mirror.VerifyOptions{Sample: *sample, Repair: *repair, Budget: *budget, Rate: *rate, Each: func(d mirror.Difference) {
		if *asJSON {
			report.Differences = append(report.Differences, differenceReport{d.Key, d.DB, d.Kind, d.Repaired})
			return
		}
		showDifference(out, d)
	}}
	if !*asJSON {
		told := time.Now()
		o.Progress = func(r mirror.VerifyReport) {
			if time.Since(told) >= time.Second {
				told = time.Now()
				fmt.Fprintf(out, "%d of %d keys, %s\n", r.Compared, r.Keys, plural(r.Commands, "command", "commands"))
			}
		}
	}
	r, err := c.Verify(ctx, o)
	err = explainCopy(err)
	if err == nil && r.Left() > 0 {
		err = fmt.Errorf("%s left", plural(r.Left(), "difference is", "differences are"))
	}
	if !*asJSON {
		fmt.Fprintf(out, "compared %s for %s: %d the same, %d missing on local, %d only on local, %d different; %d repaired, %d busy\n",
			plural(r.Compared, "key", "keys"), plural(r.Commands, "command", "commands"), r.Same, r.Missing, r.Extra, r.Different, r.Repaired, r.Busy)
		return err
	}
	report.Keys, report.Compared, report.Same, report.Missing, report.Extra = r.Keys, r.Compared, r.Same, r.Missing, r.Extra
	report.Different, report.Repaired, report.Busy, report.Commands = r.Different, r.Repaired, r.Busy, r.Commands
	if err != nil {
		report.Error = err.Error()
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return errors.Join(e.Encode(report), err)
}

func showDifference(out io.Writer, d mirror.Difference) {
	where := ""
	if d.DB != "" {
		where = " in database " + d.DB
	}
	done := ""
	if d.Repaired {
		done = ", repaired"
	}
	fmt.Fprintf(out, "%-8s %s%s%s\n", d.Kind, plain(d.Key), where, done)
}
