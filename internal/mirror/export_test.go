package mirror

// Apply is the script that does a batch.
func (m *Mirror) Apply() string { return m.scripts.apply.text }

// Clock is what is known of local's clock.
type Clock struct{ b *bounds }

// Measured is bounds.measured.
func (c *Clock) Measured(sent, got, shown int64) (jumped bool) {
	c.b, jumped = c.b.measured(sent, got, shown)
	return jumped
}

// Local is bounds.local.
func (c *Clock) Local(began, ended int64) (lo, hi int64) { return c.b.local(began, ended) }

// Crowded is crowdedMemory.
func Crowded(info string, stopped bool) bool { return crowdedMemory(info, stopped) }

// Claims reports whether local has heard that a key may change.
func (m *Mirror) Claims(key string) bool {
	b := bucketOf(key)
	for i := range m.gens {
		if g := &m.gens[i]; g.all.Load() || g.bits[b>>6].Load()&(1<<(b&63)) != 0 {
			return true
		}
	}
	return false
}

// SetClock makes a clock known to a mirror that has no local.
func (m *Mirror) SetClock() {
	next, _ := m.clock.Load().measured(micros(), micros(), 1_700_000_000_000_000)
	m.clock.Store(next)
}

// Unclaim takes all claims away, as a new generation does.
func (m *Mirror) Unclaim() {
	for i := range m.gens {
		for j := range m.gens[i].bits {
			m.gens[i].bits[j].Store(0)
		}
		m.gens[i].all.Store(false)
	}
}

// Cargo is what Discard takes.
type Cargo = cargo

// Discard empties the queue, as the flusher does, whose work it leaves out.
func (m *Mirror) Discard(c *Cargo) { m.queue.take(c) }

// ModuleOf is moduleOf.
var ModuleOf = moduleOf
