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

const syncUsage = `Copies what the primary holds to local, so that local has it when the primary's quota is over. Applications
may run meanwhile: a key that they write is left as their own copy of it is. A key costs the primary about
two commands, and how many that are is said before the first is read. It may be interrupted at any time,
and goes on where it was when it is called again.

  redis-fallback sync --dry-run          what it would cost, for three commands
  redis-fallback sync --budget 100000    at most so many commands, the rest later
  redis-fallback sync --rate 500         at most so many keys a second
  redis-fallback sync --match 'user:*'   some keys alone

Keys that local holds and the primary does not are DELETED on local, as far as --match goes; all of its
keys are, first, where there was no mirror. Keys larger than --max-bytes are left out. REDIS_URL is the primary, REDIS_FALLBACK_URL is local.

`

// syncReport is what a sync came to, as JSON.
type syncReport struct {
	DryRun   bool    `json:"dry_run"`
	Keys     int64   `json:"keys"`
	Held     int64   `json:"deleted_first_on_local"`
	Read     int64   `json:"read"`
	Copied   int64   `json:"copied"`
	Gone     int64   `json:"gone"`
	Newer    int64   `json:"newer"`
	Large    int64   `json:"left_out_large"`
	Unknown  int64   `json:"left_out_unknown_type"`
	Refused  int64   `json:"left_out_refused"`
	Extra    int64   `json:"deleted_on_local"`
	Commands int64   `json:"commands"`
	Cost     int64   `json:"commands_left"`
	Resumed  bool    `json:"resumed"`
	Seconds  float64 `json:"seconds"`
	Complete bool    `json:"complete"`
	Unsure   int64   `json:"unsure"`
	Error    string  `json:"error,omitempty"`
}

func syncKeys(ctx context.Context, args []string, out, stderr io.Writer) error {
	f := flags("sync", syncUsage, stderr)
	where := placeFlags(f)
	dry := f.Bool("dry-run", false, "say what it costs, and copy nothing")
	budget := f.Int64("budget", 0, "send the primary at most `N` commands; 0 is no bound")
	rate := f.Int("rate", 0, "copy at most `N` keys a second; 0 is no bound")
	match := f.String("match", "", "copy the keys of this `pattern` alone, as in SCAN")
	largest := f.Int64("max-bytes", 0, "leave larger keys out, by the size of their DUMP in `bytes`; default 1 MiB, -1 no bound")
	restart := f.Bool("restart", false, "begin anew, and do not go on with one that was interrupted")
	asJSON := f.Bool("json", false, "write one JSON object at the end")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || *budget < 0 || *rate < 0 || *largest < -1 {
		return errors.New("usage: redis-fallback sync [--dry-run] [--budget N] [--rate N] [--match PATTERN] [--max-bytes N] [--restart] [--json] [--name NAME]")
	}
	c, done, err := where.copier(ctx, !*dry)
	if err != nil {
		return err
	}
	defer done()
	o := mirror.SyncOptions{Budget: *budget, Rate: *rate, Match: *match, MaxBytes: *largest, Restart: *restart}
	var r mirror.SyncReport
	switch {
	case *dry:
		r.SyncProgress, err = c.Cost(ctx, o)
		if err == nil && !*asJSON {
			showCost(out, r.SyncProgress)
		}
	case *asJSON:
		r, err = c.Sync(ctx, o)
	default:
		r, err = syncAloud(ctx, c, o, out)
	}
	if err = explainCopy(err); !*asJSON {
		return err
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return errors.Join(e.Encode(syncReport{
		*dry, r.Keys, r.Held, r.Read, r.Copied, r.Gone, r.Newer, r.Large, r.Unknown, r.Refused, r.Extra, r.Commands, r.Cost,
		r.Resumed, r.Elapsed.Seconds(), r.Complete, r.Unsure, text,
	}), err)
}

func showCost(out io.Writer, p mirror.SyncProgress) {
	if p.Resumed {
		fmt.Fprintf(out, "going on with a sync that was interrupted after %s; --restart begins anew\n", plural(p.Read, "key", "keys"))
	}
	fmt.Fprintf(out, "the primary holds %s; to copy what is left costs it about %s\n",
		plural(p.Keys, "key", "keys"), plural(p.Cost, "command", "commands"))
	if p.Held > 0 {
		fmt.Fprintf(out, "local holds %s that no mirror put there: DELETED first\n", plural(p.Held, "key", "keys"))
	}
}

// syncAloud copies, and tells how it goes once a second.
func syncAloud(ctx context.Context, c *mirror.Copier, o mirror.SyncOptions, out io.Writer) (mirror.SyncReport, error) {
	var told time.Time
	o.Progress = func(p mirror.SyncProgress) {
		switch {
		case told.IsZero():
			showCost(out, p)
		case time.Since(told) < time.Second:
			return
		default:
			fmt.Fprintf(out, "%d of %d keys, %s, about %s left\n", p.Read, p.Keys, plural(p.Commands, "command", "commands"), nearly(p.Left))
		}
		told = time.Now()
	}
	r, err := c.Sync(ctx, o)
	fmt.Fprintf(out, "copied %s of %d that were read, for %s, in %s\n", plural(r.Copied, "key", "keys"), r.Read,
		plural(r.Commands, "command", "commands"), nearly(r.Elapsed))
	for _, left := range []struct {
		n    int64
		what string
	}{
		{r.Large, "left out: larger than --max-bytes"},
		{r.Unknown, "left out: of a type that cannot be copied"},
		{r.Refused, "left out: local refuses them"},
		{r.Extra, "deleted on local: the primary does not have them"},
	} {
		if left.n > 0 {
			fmt.Fprintf(out, "%s %s\n", plural(left.n, "key", "keys"), left.what)
		}
	}
	switch {
	case err != nil:
		fmt.Fprintln(out, "not done; the same command goes on from here")
	case r.Complete && r.Unsure == 0:
		fmt.Fprintln(out, "local is complete")
	case r.Complete:
		fmt.Fprintf(out, "local is complete but for %s\n", plural(r.Unsure, "key", "keys"))
	case o.Match == "":
		fmt.Fprintln(out, "local is not complete: something was missed meanwhile; sync once more")
	}
	return r, err
}
