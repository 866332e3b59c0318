package mirror

import (
	"sync"
	"sync/atomic"
)

// maxNames is how many keys may be unsure by name alone. Beyond it all are.
const maxNames = 1_000_000

// names are keys to be deleted on local, "db|key".
type names struct {
	mu  sync.Mutex
	set map[string]struct{}
	n   atomic.Int64
}

// drop makes the keys of operations unsure.
func (m *Mirror) drop(text string) {
	decode(text, func(o *op) {
		m.counters.dropped.Add(1)
		switch {
		case o.db == EveryDB, o.kind == Flush:
			// A flush that is late does no harm, but one by name there is none.
			m.empty.Store(true)
		default:
			m.loseOp(o)
		}
	})
}

func (m *Mirror) loseOp(o *op) {
	db := o.db
	if db == m.home {
		db = ""
	}
	m.loseKey(db, o.key)
	if o.kind == Rename {
		m.loseKey(db, o.args[0])
	}
}

func (m *Mirror) loseKey(db, key string) {
	if f := m.cfg.Filter; f != nil && !f(key) || m.off.Load() != nil {
		return
	}
	m.lost.mu.Lock()
	if len(m.lost.set) < maxNames {
		m.lost.set[db+"|"+key] = struct{}{}
	} else {
		m.empty.Store(true)
	}
	m.lost.n.Store(int64(len(m.lost.set)))
	m.lost.mu.Unlock()
}

// some takes up to n names.
func (l *names) some(n int) []string {
	if l.n.Load() == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := make([]string, 0, min(n, len(l.set)))
	for name := range l.set {
		if len(taken) == n {
			break
		}
		taken = append(taken, name)
		delete(l.set, name)
	}
	l.n.Store(int64(len(l.set)))
	if len(l.set) == 0 {
		l.set = map[string]struct{}{} // a map keeps its room
	}
	return taken
}

func (l *names) clear() {
	l.mu.Lock()
	l.set = map[string]struct{}{}
	l.n.Store(0)
	l.mu.Unlock()
}
