package mirror_test

import (
	"math/rand/v2"
	"testing"

	"github.com/redis-fallback/fallback/internal/mirror"
)

// Two clocks that drift apart at changing speeds, measured over a network with changing delays: the bounds
// hold at all times, for calls of the last seconds too.
func TestTheBoundsOfLocalsClockHold(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
		var c mirror.Clock
		type moment struct{ ours, theirs float64 }
		now := moment{1e6, 1.7e15 + rng.Float64()*1e9}
		past := []moment{now}
		speed := 1.0
		pass := func(d float64) moment {
			now.ours += d
			now.theirs += d * speed
			past = append(past, now)
			return now
		}
		jumped, jumps := false, 0
		for i := range 300 {
			if rng.IntN(10) == 0 {
				speed = 1 + (rng.Float64()*2-1)*0.9e-3
			}
			if i > 0 && rng.IntN(100) == 0 {
				now.theirs += (rng.Float64()*2 - 1) * 5e6 // somebody sets it
				past = append(past, now)
				jumped = true
			}
			sent := pass(rng.Float64() * 1e6)
			shown := pass(rng.ExpFloat64() * 300)
			got := pass(rng.ExpFloat64() * 300)
			if c.Measured(int64(sent.ours), int64(got.ours), int64(shown.theirs)) {
				jumps++
				if !jumped {
					t.Fatalf("seed %d: a jump where there was none", seed)
				}
			}
			for range 20 {
				at := past[max(0, len(past)-1-rng.IntN(30))]
				if jumped && (now.ours-at.ours) > 50e6 {
					continue // beyond what is remembered
				}
				if jumped && jumps == 0 {
					continue // too small to be seen among the delays
				}
				lo, hi := c.Local(int64(at.ours*1000), int64(at.ours*1000))
				if !jumped && (float64(lo) > at.theirs || float64(hi) < at.theirs) {
					t.Fatalf("seed %d, round %d: %f is not within %d and %d", seed, i, at.theirs, lo, hi)
				}
			}
		}
	}
}

func TestAClockThatJumpedIsRememberedAsItWas(t *testing.T) {
	t.Parallel()
	var c mirror.Clock
	const s = 1_000_000
	c.Measured(10*s, 10*s+100, 1000*s)
	if !c.Measured(11*s, 11*s+100, 1006*s) {
		t.Fatal("five seconds were not seen")
	}
	lo, hi := c.Local(10.5*s*1000, 10.5*s*1000)
	if lo > 1000.5*s || hi < 1005.5*s {
		t.Errorf("a call just before is between %d and %d", lo, hi)
	}
	c.Measured(100*s, 100*s+100, 1095*s)
	if lo, hi = c.Local(100*s*1000, 100*s*1000); hi-lo > 1000 {
		t.Errorf("a minute later the bounds are still %d apart", hi-lo)
	}
}
