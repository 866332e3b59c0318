package fallback

// MirrorConfig holds the numbers of the mirror: what the primary acknowledged is copied to local, so that
// local is warm when it is needed. 0 is the default, -1 turns off.
type MirrorConfig struct {
	// Bytes and Writes bound what waits for local in this process. Beyond, keys are deleted on local
	// instead of being brought up to date. Defaults 64 MiB and 100,000; Bytes -1 no mirror at all.
	Bytes  int64
	Writes int
	// Filter reports whether a key is mirrored. It must answer alike in all processes, quickly, and may
	// be called by many goroutines at once. Default all keys.
	Filter func(key string) bool
	// Hydration is the share of the commands which the program sends to the primary that may be spent,
	// on top of them, on reading keys that local does not hold: 0.05 is one in twenty. Default 0.05,
	// -1 nothing is read.
	Hydration float64
	// Largest is how many bytes a key may have to be read from the primary. Default 1 MiB, -1 no bound.
	Largest int64
}

const (
	defaultMirrorBytes  = 64 << 20
	defaultMirrorWrites = 100_000
	defaultHydration    = 0.05
	defaultLargest      = 1 << 20
)

func (m MirrorConfig) withDefaults() MirrorConfig {
	if m.Bytes == 0 {
		m.Bytes = defaultMirrorBytes
	}
	if m.Writes <= 0 {
		m.Writes = defaultMirrorWrites
	}
	switch {
	case m.Hydration == 0:
		m.Hydration = defaultHydration
	case m.Hydration < 0:
		m.Hydration = 0
	}
	switch {
	case m.Largest == 0:
		m.Largest = defaultLargest
	case m.Largest < 0:
		m.Largest = 0
	}
	return m
}

// WithMirror sets the numbers of the mirror.
func WithMirror(m MirrorConfig) Option { return func(c *config) { c.mirror = m } }
