package console

import (
	"sync"
	"time"

	"github.com/redis-fallback/fallback"
)

// How calls per second are measured: samples are taken when somebody looks, and there is no goroutine for
// it. So the first look of all has none, and a gap is an average.
const (
	sampleEvery = 900 * time.Millisecond // less than the second in which a page looks again
	sampleGap   = 10 * time.Second       // beyond it an average says nothing of now
	sampleSpan  = 2 * time.Minute        // that are drawn
)

// sample is what both servers had answered at a time.
type sample struct {
	at             time.Time
	primary, local int64
}

// rate is the calls per second up to a time.
type rate struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Primary float64   `json:"primary"`
	Local   float64   `json:"local"`
}

// rates keeps the last samples. It is safe for concurrent use.
type rates struct {
	mu   sync.Mutex // protects list
	list []sample   // the oldest first
}

// observe takes a sample, if the last one is old enough, and returns the rates between those that are kept.
func (r *rates) observe(s fallback.Status, now time.Time) []rate {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.list); n == 0 || now.Sub(r.list[n-1].at) >= sampleEvery {
		r.list = append(r.list, sample{now, s.Primary.Answered, s.Local.Answered})
	}
	for now.Sub(r.list[0].at) > sampleSpan {
		r.list = r.list[1:]
	}
	all := []rate{}
	for i := 1; i < len(r.list); i++ {
		a, b := r.list[i-1], r.list[i]
		took := b.at.Sub(a.at)
		if took > sampleGap {
			continue
		}
		all = append(all, rate{
			a.at, b.at, float64(b.primary-a.primary) / took.Seconds(), float64(b.local-a.local) / took.Seconds(),
		})
	}
	return all
}
