package fallback

import (
	"sync/atomic"
	"unsafe"
)

// counter counts what every call counts. A single number would be passed between the processors with
// every call, and so would one of several taken at random; so each goroutine has its own, by where its
// stack lies. Which one it is matters for nothing else.
type counter struct {
	parts [64]struct {
		n atomic.Int64
		_ [56]byte // to the end of the cache line
	}
}

func (c *counter) add(n int) {
	var here byte
	at := uintptr(unsafe.Pointer(&here)) //nolint:gosec // a hash of it, no pointer
	c.parts[(at>>11^at>>17)%64].n.Add(int64(n))
}

func (c *counter) load() int64 {
	var n int64
	for i := range c.parts {
		n += c.parts[i].n.Load()
	}
	return n
}
