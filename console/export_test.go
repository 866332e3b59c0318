package console

import (
	"time"

	"github.com/redis-fallback/fallback"
)

// Rates are the calls per second of the primary and of local between looks at these times.
func Rates(primary, local []int64, at []time.Time) (got [][2]float64) {
	var r rates
	for i := range at {
		var s fallback.Status
		s.Primary.Answered, s.Local.Answered = primary[i], local[i]
		got = got[:0]
		for _, x := range r.observe(s, at[i]) {
			got = append(got, [2]float64{x.Primary, x.Local})
		}
	}
	return got
}

// Switch is one of a history.
type Switch struct {
	At       time.Time
	From, To string
	Lasted   time.Duration
}

// Band is what is drawn of a history, the newest switch first: where each part begins, how wide it is, who
// served.
func Band(now time.Time, serving string, since time.Time, all ...Switch) (parts [][3]any, from time.Time) {
	r := &report{At: now, Serving: serving, Since: since}
	for _, s := range all {
		r.History = append(r.History, change{At: s.At, From: s.From, To: s.To, Lasted: s.Lasted.Seconds()})
	}
	segments, from := band(r)
	for _, s := range segments {
		parts = append(parts, [3]any{s.X, s.Width, s.Serving})
	}
	return parts, from
}

// How numbers are written.
var (
	Count     = count
	Size      = size
	PerSecond = perSecond
	Shorten   = shorten
)
