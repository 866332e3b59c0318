package journal

// Deadlines and a drain that is behind.
//
// A key's deadline may have passed by now, or pass before the drain ends, and yet have been prolonged by a
// write that has not been delivered: nothing is known of what was written after the last entry of a
// batch. So a deadline has passed for good only if the entries reach that far. Any other one gives the
// key some time more than it has, which the drain remembers, and makes good once the entries do.

const (
	// mostDeadlines bounds how many deadlines a drain remembers.
	mostDeadlines = 100_000
	// pastDeadline is how long ago, in milliseconds, a deadline does not matter any more.
	pastDeadline = 60_000
	// leastGrace and mostGrace are what a key has left at least, in milliseconds, that may be prolonged
	// yet: at the end of the journal, and far from it.
	leastGrace = 1000
	mostGrace  = 600_000
)

// grace is the least that a key has left when the entries reach up to horizon.
func grace(now, horizon int64, end bool) int64 {
	if end {
		return leastGrace
	}
	return min(10*leastGrace+max(now-horizon, 0)/10, mostGrace)
}

// deadlines are those that keys were delivered with, by local's clock. The primary lets a key expire later
// than local, at least by the time that the delivery took: a write that made the key anew on local must
// not meet the old one there, and expire with it.
type deadlines struct {
	known map[place]int64
	loose map[place]int64 // of keys that were given more time
}

// learn takes over what a batch has left.
func (d *deadlines) learn(f *folder) {
	if f.walled {
		*d = deadlines{} // something ran that may have changed them all
	}
	if d.known == nil {
		d.known, d.loose = make(map[place]int64), make(map[place]int64)
	}
	for at, c := range f.chains {
		if c.deadline > 0 {
			d.known[at] = c.deadline
		} else {
			delete(d.known, at)
		}
		if c.loose {
			d.loose[at] = c.deadline
		} else {
			delete(d.loose, at)
		}
	}
	for _, at := range f.tightened {
		delete(d.loose, at)
	}
	if len(d.known) > mostDeadlines {
		for at, ms := range d.known {
			if ms < f.now-pastDeadline || len(d.known) > 2*mostDeadlines {
				delete(d.known, at)
			}
		}
	}
}

// tighten gives the keys that were given more time the time that they have, or takes them away.
func (f *folder) tighten(horizon int64) {
	unlink := map[string]int{} // where the command of a database is
	tight := func(at place, ms int64) bool {
		switch {
		case ms <= horizon:
			i, ok := unlink[at.db]
			if !ok || len(f.out[i].args) > maxArguments {
				i = len(f.out)
				unlink[at.db] = i
				f.out = append(f.out, command{db: at.db, args: []string{"unlink"}, from: source{id: f.last}})
			}
			f.out[i].args = append(f.out[i].args, at.key)
		case f.end && ms > f.now+leastGrace && len(f.out) < f.bounds.Commands:
			f.out = append(f.out, command{db: at.db, args: []string{"pexpire", at.key}, due: ms, from: source{id: f.last}})
		default:
			return false
		}
		f.tightened = append(f.tightened, at)
		return true
	}
	for at, c := range f.chains {
		if c.loose && tight(at, c.deadline) {
			c.loose = false
		}
	}
	for at, ms := range f.before.loose {
		if f.chains[at] == nil {
			tight(at, ms)
		}
	}
}
