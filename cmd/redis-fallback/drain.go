package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
)

const drainUsage = `Delivers what local's journal holds to the primary: each write once, in the order of each key. No
application has to run, and any number may: what was delivered is compared, and set, with each
transaction. While applications run they deliver by themselves once the primary is well; a drain is for a
journal that costs more than their budget, or for when none of them runs.

  redis-fallback drain --dry-run           what it would cost; the primary is not touched
  redis-fallback drain --budget 20000      at most so many commands, the rest later
  redis-fallback drain --return            and let the primary serve again, for all processes

REDIS_URL is the primary, REDIS_FALLBACK_URL is local. The password of neither is shown. Exits with 1 if
something is left that should have been delivered. A budget wants some room above the estimate.

`

func drain(ctx context.Context, args []string, out, stderr io.Writer) error {
	f := flags("drain", drainUsage, stderr)
	where := placeFlags(f)
	dry := f.Bool("dry-run", false, "say what it costs, and deliver nothing")
	budget := f.Int64("budget", 0, "send the primary at most `N` commands; 0 is no bound")
	giveBack := f.Bool("return", false, "then give the service back to the primary")
	adopt := f.Bool("adopt", false, "deliver to this primary although the journal is for another one")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || *budget < 0 {
		return errors.New("usage: redis-fallback drain [--dry-run] [--budget N] [--return] [--adopt] [--name NAME]")
	}
	store, fleet, err := where.used(ctx)
	if err != nil {
		return err
	}
	defer store.Client().Close()
	d, err := deliverer(store)
	if err != nil {
		return err
	}
	defer d.Primary.Close()
	d.Adopt = *adopt

	if fleet.Record.Serving == journal.Primary {
		fmt.Fprintln(out, "the primary serves, and has everything")
		deadLettersLeft(out, fleet.Dead)
		return nil
	}
	e, err := d.Estimate(ctx)
	if err != nil {
		return fmt.Errorf("local: %w", advice("REDIS_FALLBACK_URL", err))
	}
	fmt.Fprintf(out, "to deliver: %s with %s, %s; this costs the primary about %s\n",
		plural(e.Entries, "entry", "entries"), plural(e.Writes, "write", "writes"), plural(e.Bytes, "byte", "bytes"),
		plural(e.Commands, "command", "commands"))
	if *dry {
		return nil
	}
	return deliver(ctx, d, out, *budget, *giveBack, e.Entries)
}

// deliver delivers, and tells how it goes once a second.
func deliver(ctx context.Context, d *journal.Drain, out io.Writer, budget int64, giveBack bool, all int64) error {
	var last journal.Progress
	told := time.Now()
	o := journal.Options{Budget: budget, Reason: "recovered", Progress: func(p journal.Progress) {
		last = p
		if time.Since(told) >= time.Second {
			told = time.Now()
			fmt.Fprintf(out, "%d of %d entries, %s\n", p.Entries, all, plural(p.Commands, "command", "commands"))
		}
	}}
	var err error
	if giveBack {
		_, err = d.Return(ctx, o)
	} else {
		last, err = d.Deliver(ctx, o)
	}
	fmt.Fprintf(out, "delivered %s with %s for %s\n", plural(last.Entries, "entry", "entries"),
		plural(last.Writes, "write", "writes"), plural(last.Commands, "command", "commands"))
	if last.Unconfirmed > 0 {
		fmt.Fprintf(out, "%s had been delivered before, by one that did not see the replies\n", plural(last.Unconfirmed, "entry", "entries"))
	}
	if err != nil {
		return explain(err)
	}
	if giveBack {
		fmt.Fprintln(out, "the primary serves")
	}
	f, err := d.Store.Tick(ctx, nil, journal.Limits{})
	if err != nil {
		return fmt.Errorf("local: %w", advice("REDIS_FALLBACK_URL", err))
	}
	deadLettersLeft(out, f.Dead)
	return nil
}

// deadLettersLeft points to what the primary did not take.
func deadLettersLeft(out io.Writer, n int64) {
	if n > 0 {
		fmt.Fprintf(out, "%s: see redis-fallback dead\n", plural(n, "dead letter", "dead letters"))
	}
}
