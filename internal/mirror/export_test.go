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
