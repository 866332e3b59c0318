package mirror

import "sync/atomic"

// A process that dies takes with it what local does not know yet. So before a write is sent to the
// primary local hears which bucket its key is in, on a connection whose bytes the kernel still delivers
// when the process is gone; keys of claimed buckets are deleted then. Claims are collected for a while
// and dropped together, when all their calls have ended and local knows what they did.

// buckets is how many there are; slots is how many generations of claims there may be at once.
const (
	buckets = 1 << 20
	slots   = 8
)

// bucketOf is the bucket of a key, in whatever database: FNV-1a, which other processes must agree on.
func bucketOf[T string | []byte](key T) uint32 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return uint32(h>>32^h) & (buckets - 1) //nolint:gosec // that many bits
}

// generation is the claims of one time.
type generation struct {
	slot  int
	calls [lanes]lineCount // that have claimed and are not known to local yet
	all   atomic.Bool      // everything is claimed
	// bits are the buckets that are claimed: set when the intent is written, never before it. Who finds
	// his bit set sends his write at once.
	bits [buckets / 64]atomic.Uint64
	// state is the flusher's.
	state genState
}

// lineCount is a counter alone on its cache line.
type lineCount struct {
	n atomic.Int64
	_ [56]byte
}

type genState uint8

const (
	genFree genState = iota
	genOpen
	genEnded // its calls are being waited for
)

func (g *generation) leave(lane uint8) { g.calls[lane].n.Add(-1) }

// over reports whether no call is left. No call enters a generation that has ended, so the counters may be
// read one after the other.
func (g *generation) over() bool {
	for i := range g.calls {
		if g.calls[i].n.Load() != 0 {
			return false
		}
	}
	return true
}

// claimBucket lets local know that a key of the bucket may change.
func (m *Mirror) claimBucket(g *generation, bucket uint32) {
	word, bit := &g.bits[bucket>>6], uint64(1)<<(bucket&63)
	if word.Load()&bit != 0 || g.all.Load() {
		return
	}
	for {
		w := m.intents.wire.Load()
		if w != nil {
			m.counters.claimed.Add(1)
			if !w.claim(g, bucket) {
				m.claimAll(g)
			}
		}
		word.Or(bit)
		// Who connects sends the bits that are set then. This one may have come too late for it.
		if m.intents.wire.Load() == w {
			return
		}
	}
}

// claimAll lets local know that any key may change.
func (m *Mirror) claimAll(g *generation) {
	for !g.all.Load() {
		w := m.intents.wire.Load()
		if w != nil && !w.claim(g, buckets) {
			m.intents.deaf.Store(true) // said on the other connection
		}
		g.all.Store(true)
		if m.intents.wire.Load() == w {
			return
		}
		g.all.Store(false)
	}
}

// rotate ends the current generation and begins another, if one is free.
func (m *Mirror) rotate() {
	for i := range m.gens {
		if g := &m.gens[i]; g.state == genFree {
			for j := range g.bits {
				g.bits[j].Store(0)
			}
			g.all.Store(false)
			g.state = genOpen
			m.current.Swap(g).state = genEnded
			return
		}
	}
}

// finished returns the generations that local may forget. Keys that are unsure by name alone are of any
// of them.
func (m *Mirror) finished(dst []*generation) []*generation {
	if m.empty.Load() || m.lost.n.Load() > 0 {
		return dst
	}
	for i := range m.gens {
		if g := &m.gens[i]; g.state == genEnded && g.over() {
			dst = append(dst, g)
		}
	}
	return dst
}
