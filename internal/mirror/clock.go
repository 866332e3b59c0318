package mirror

import "time"

// drift is how far two clocks may move apart, in parts of a million: each of them may be slewed by 500.
const drift = 1000

// memory is for how long a jump of local's clock is remembered: longer than any call is ordered.
const memory = 60 * time.Second

// bounds are where local's clock stands to that of this process, in microseconds: local shows at least
// now+lo and at most now+hi. It is never changed; what is learnt makes another.
type bounds struct {
	lo, hi int64
	at     int64 // when they were that narrow
	// After a jump, until then, calls may have been timed by the clock as it was before.
	jumpLo, jumpHi int64
	jump           int64
}

// measured returns the bounds after local showed shown at some time between sent and got. jumped says
// that this cannot be: somebody has set a clock.
func (b *bounds) measured(sent, got, shown int64) (next *bounds, jumped bool) {
	// Both clocks are read in whole microseconds, cut off.
	n := &bounds{lo: shown - got - 1, hi: shown + 1 - sent, at: got}
	if b == nil {
		return n, false
	}
	n.jumpLo, n.jumpHi, n.jump = b.jumpLo, b.jumpHi, b.jump
	lo, hi := b.wide(got)
	if n.lo > hi || n.hi < lo {
		lo, hi = b.offset(got)
		n.jumpLo, n.jumpHi, n.jump = lo, hi, got+memory.Microseconds()
		return n, true
	}
	n.lo, n.hi = max(n.lo, lo), min(n.hi, hi)
	return n, false
}

// wide returns the bounds some time before or after they were measured.
func (b *bounds) wide(at int64) (lo, hi int64) {
	w := drifted(at-b.at) + 1
	return b.lo - w, b.hi + w
}

func drifted(d int64) int64 { return max(d, -d) * drift / 1_000_000 }

// offset returns what to add to a time of this process for the earliest and the latest that local may
// have shown.
func (b *bounds) offset(at int64) (lo, hi int64) {
	lo, hi = b.wide(at)
	if at < b.jump {
		w := drifted(at - (b.jump - memory.Microseconds()))
		lo, hi = min(lo, b.jumpLo-w), max(hi, b.jumpHi+w)
	}
	return lo, hi
}

// local returns what local showed at the earliest when a call began, and at the latest when it ended,
// given in nanoseconds.
func (b *bounds) local(began, ended int64) (lo, hi int64) {
	began, ended = began/1000, ended/1000
	lo, _ = b.offset(began)
	_, hi = b.offset(ended)
	return began + lo, ended + 1 + hi
}
