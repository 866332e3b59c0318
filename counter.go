package fallback

import (
	"math/rand/v2"
	"sync/atomic"
)

// counter counts what every call counts. Its parts lie on cache lines of their own and one is taken
// at random: a single number would be passed between the processors with every call.
type counter struct {
	parts [8]struct {
		n atomic.Int64
		_ [56]byte
	}
}

func (c *counter) add(n int) { c.parts[rand.Uint32()&7].n.Add(int64(n)) }

func (c *counter) load() int64 {
	var n int64
	for i := range c.parts {
		n += c.parts[i].n.Load()
	}
	return n
}
