package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/crash/check"
)

// total adds up the runs, and prints a line for each.
type total struct {
	out       io.Writer
	runs, bad int
	laws      map[check.Law]int
	letters   map[string]int
	sum       check.Report
	behind    int
	warm      check.Warm
	mirror    fallback.MirrorStatus
}

// laws are in the order in which they are printed.
var laws = []check.Law{check.Missing, check.Doubled, check.Disordered, check.Torn, check.Foreign, check.Expiry}

// shown bounds how many findings of one run are printed.
const shown = 40

func newTotal(out io.Writer) *total {
	return &total{out: out, laws: map[check.Law]int{}, letters: map[string]int{}}
}

func (t *total) add(r result, verbose bool) {
	t.runs++
	if r.bad() {
		t.bad++
	}
	if r.outcome != nil {
		t.line(r)
		t.addUp(r)
		if verbose {
			for _, n := range r.notes {
				fmt.Fprintln(t.out, "  "+n)
			}
		}
		if r.unsettled != "" {
			fmt.Fprintln(t.out, "  the journal: "+r.unsettled)
		}
		for _, v := range r.Violations[:min(len(r.Violations), shown)] {
			fmt.Fprintln(t.out, "  "+v.String())
		}
		for _, w := range r.warm.Wrong[:min(len(r.warm.Wrong), shown)] {
			fmt.Fprintln(t.out, "  "+w.String())
		}
	} else {
		fmt.Fprintf(t.out, "run %d: seed %d\n", t.runs, r.seed)
	}
	if r.err != nil {
		fmt.Fprintf(t.out, "  %v\n", r.err)
	}
	if r.bad() {
		fmt.Fprintf(t.out, "  its files are in %s; again: -seed %d -v\n", r.dir, r.seed)
	}
}

func (t *total) line(r result) {
	fmt.Fprintf(t.out, "run %d: seed %d, %.1fs, %d faults, %d refusals, %d trips: acknowledged %d",
		t.runs, r.seed, r.took.Seconds(), r.faults, r.refusals, r.trips, r.Acked)
	for _, l := range laws {
		fmt.Fprintf(t.out, ", %s %d", l, r.Count(l))
	}
	fmt.Fprintf(t.out, ", undelivered %d; dead %d, in doubt %d, unsure %d", r.undelivered, r.Dead, r.InDoubt, r.Unsure)
	fmt.Fprintf(t.out, "; of %d keys local has %d, wrong %d\n", r.warm.Keys, r.warm.Held, len(r.warm.Wrong))
}

func (t *total) addUp(r result) {
	for _, l := range laws {
		t.laws[l] += r.Count(l)
	}
	for why, n := range r.Letters {
		t.letters[why] += n
	}
	t.behind += r.undelivered
	t.warm.Keys, t.warm.Held, t.warm.Wrong = t.warm.Keys+r.warm.Keys, t.warm.Held+r.warm.Held, append(t.warm.Wrong, r.warm.Wrong...)
	add(&t.mirror, r.mirror)
	s := &t.sum
	s.Acked, s.Unsure, s.Dead, s.InDoubt = s.Acked+r.Acked, s.Unsure+r.Unsure, s.Dead+r.Dead, s.InDoubt+r.InDoubt
	s.Late, s.Stale, s.Excused, s.Window = s.Late+r.Late, s.Stale+r.Stale, s.Excused+r.Excused, s.Window+r.Window
	s.Slip = max(s.Slip, r.Slip)
}

func (t *total) print() {
	row := func(n any, what string) { fmt.Fprintf(t.out, "%10v  %s\n", n, what) }
	fmt.Fprintf(t.out, "\n%d runs, %d of them bad\n\n", t.runs, t.bad)
	row(t.sum.Acked, "writes acknowledged")
	for _, l := range laws {
		row(t.laws[l], string(l))
	}
	row(t.behind, "entries of the journal left behind")
	row(t.sum.Dead, "in dead letters alone")
	for _, why := range slices.Sorted(maps.Keys(t.letters)) {
		row("", fmt.Sprintf("%d of %s", t.letters[why], why))
	}
	row(t.sum.InDoubt, "in dead letters, in doubt")
	fmt.Fprintln(t.out, "\nLocal:")
	row(t.warm.Keys, "keys of the primary")
	row(t.warm.Held, "of them on local, as they are there")
	row(t.warm.Absent(), "of them absent")
	row(len(t.warm.Wrong), "keys on local that are not as on the primary")
	row(t.mirror.Mirrored, "operations mirrored by the processes that ended well")
	row(t.mirror.Unsure, "keys deleted because nothing sure was known of them")
	row(t.mirror.Hydrated, "keys read from the primary")
	row(t.mirror.Cleaned, "dead processes cleaned up after")
	row(t.mirror.Emptied, "times that all was unsure")
	fmt.Fprintln(t.out, "\nWhat may be:")
	row(t.sum.Unsure, "failed, and may have run or not: their callers know")
	row(t.sum.Late, "of them took effect after a later write of their caller, on the same server")
	row(t.sum.Window, "came after a later write of another process that had not yet heard of a trip")
	row(t.sum.Stale, "values popped on both servers")
	row(t.sum.Excused, "values gone with pops whose reply was lost")
	row(t.sum.Slip, "ms by which an expiry is late, at most: a time left stands still with who carries it")
}
