package console

import (
	"fmt"
	"strings"
	"time"
)

// figure is what is drawn: numbers that are ready to stand in SVG.
type figure struct {
	Primary, Local, Returning bool   // the state that is lit
	UnderPrimary, UnderLocal  string // a few words in their boxes
	Calls                     chart
	Band                      []segment
	BandFrom                  time.Time
}

// chart is the calls per second of the last two minutes: two areas of steps, in a box of chartWide by chartHigh.
type chart struct {
	Primary, Local string // as points of a polygon
	Most           string // what the upper edge stands for
	Some           bool
}

// segment is a time in which one server served, in thousandths of the band.
type segment struct {
	X, Width int
	Serving  string
}

const (
	chartWide, chartHigh = 600, 120
	bandWide             = 1000
	bandMost             = 24 * time.Hour
)

func newFigure(r *report) figure {
	f := figure{
		Primary: r.State == "primary", Local: r.State == "local", Returning: r.State == "returning" || r.State == "closing",
		Calls: newChart(r.Rates, r.At),
	}
	f.UnderPrimary, f.UnderLocal = under(r)
	f.Band, f.BandFrom = band(r)
	return f
}

// under is what the boxes of the two servers say beneath their names.
func under(r *report) (primary, local string) {
	v := view{report: r}
	switch {
	case r.Serving == "primary":
		primary, local = "serves, "+v.Ago(r.Since), "ready"
		if r.Local.Breaker != "closed" {
			local = "does not answer"
		}
		if !r.Enabled {
			local = "switched off"
		}
		return primary, local
	case r.NextProbe != nil:
		primary = "probe in " + v.In(*r.NextProbe)
	default:
		primary = "not in use"
	}
	local = "serves, " + v.Ago(r.Since)
	if r.Local.Breaker != "closed" {
		local = "does not answer"
	}
	return primary, local
}

// newChart draws steps rather than slopes: a rate holds for the time it was measured over.
func newChart(all []rate, now time.Time) chart {
	most := 1.0
	for _, s := range all {
		most = max(most, s.Primary, s.Local)
	}
	most = nice(most)
	x := func(t time.Time) float64 { return max(0, chartWide*(1-now.Sub(t).Seconds()/sampleSpan.Seconds())) }
	y := func(v float64) float64 { return chartHigh * (1 - v/most) }
	var p, l strings.Builder
	step := func(b *strings.Builder, s rate, v float64) {
		fmt.Fprintf(b, "%.1f,%d %.1f,%.1f %.1f,%.1f %.1f,%d ", x(s.From), chartHigh, x(s.From), y(v), x(s.To), y(v), x(s.To), chartHigh)
	}
	for _, s := range all {
		step(&p, s, s.Primary)
		step(&l, s, s.Local)
	}
	return chart{strings.TrimSpace(p.String()), strings.TrimSpace(l.String()), count(int64(most)), len(all) > 0}
}

// nice is the next of 1, 2, 5, 10, 20, 50 … that is not below v.
func nice(v float64) float64 {
	for n := 1.0; ; n *= 10 {
		for _, m := range [...]float64{1, 2, 5} {
			if n*m >= v {
				return n * m
			}
		}
	}
}

// band is who served when, as far as this process remembers, a day at most.
func band(r *report) ([]segment, time.Time) {
	from := r.Since
	if n := len(r.History); n > 0 {
		oldest := r.History[n-1]
		from = oldest.At.Add(-time.Duration(oldest.Lasted * float64(time.Second)))
	}
	if r.At.Sub(from) > bandMost {
		from = r.At.Add(-bandMost)
	}
	whole := r.At.Sub(from).Seconds()
	at := func(t time.Time) int {
		return min(bandWide, max(0, int(bandWide*t.Sub(from).Seconds()/max(whole, 1e-9))))
	}
	var all []segment
	put := func(from, to int, serving string) {
		if serving == "local" {
			to = max(to, from+3) // what was short must be seen as well
		}
		all = append(all, segment{from, to - from, serving})
	}
	end := bandWide
	serving := r.Serving
	for _, c := range r.History { // the newest first
		start := at(c.At)
		put(start, end, serving)
		end, serving = start, c.From
		if !c.At.After(from) {
			return all, from
		}
	}
	put(0, end, serving)
	return all, from
}
