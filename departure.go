package fallback

import (
	"maps"
	"time"
)

// heard is a message of the recent past.
type heard struct {
	seq   uint64
	topic topic
	frame []byte
}

// departure is a subscriber that was made to connect anew, and is owed what is said meanwhile.
type departure struct {
	wanted map[topic]bool
	seq    uint64
	until  time.Time
}

// How long, and how much, is remembered for those that connect anew.
const (
	departureTime = 5 * time.Second
	recentMost    = 16384
)

// depart is leave for listeners that are made to connect anew: what is said until they are back is kept
// for them. A connection has no name by which it could be known again, but one that subscribes to the
// same is as good, if all have heard the same until then: those that leave together, leave at once.
func (b *hub) depart(all ...*listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range all {
		b.departLocked(l)
	}
}

func (b *hub) departLocked(l *listener) {
	if _, ok := b.listeners[l]; !ok || len(l.wanted) == 0 {
		return
	}
	d := &departure{wanted: map[topic]bool{}, seq: b.seq, until: time.Now().Add(departureTime)}
	for t := range l.wanted {
		d.wanted[t] = true
	}
	for _, other := range b.departed {
		// Which of the two comes back first is not known: one may miss something rather than hear it twice.
		if !other.taken() && maps.Equal(other.wanted, d.wanted) {
			other.seq = b.seq
		}
	}
	b.departed = append(b.departed, d)
	delete(b.listeners, l) // but its topics stay wanted, until it is back or given up
	clear(l.wanted)        // by d alone: what the client still writes must not take them away twice
	time.AfterFunc(departureTime, func() { b.forget(d) })
}

// forget gives up a departure, or ends one whose subscriber is back.
func (b *hub) forget(d *departure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetLocked(d)
}

func (b *hub) forgetLocked(d *departure) {
	for i, other := range b.departed {
		if other != d {
			continue
		}
		b.departed = append(b.departed[:i], b.departed[i+1:]...)
		for t := range d.wanted {
			if b.wanted[t]--; b.wanted[t] <= 0 {
				delete(b.wanted, t)
			}
		}
		b.work.put(struct{}{})
		break
	}
	if len(b.departed) == 0 {
		b.recent = nil
	}
}

// resumeLocked hands a listener what it is owed on topics it has just subscribed to.
func (b *hub) resumeLocked(l *listener, topics []topic) {
	if l.owed == nil {
		l.owed = b.departureLocked(topics)
	}
	if l.owed == nil {
		return
	}
	now := map[topic]bool{}
	for _, t := range topics {
		if l.owed.wanted[t] && !l.resumed[t] {
			now[t], l.resumed[t] = true, true
		}
	}
	for _, m := range b.recent {
		if m.seq > l.owed.seq && now[m.topic] {
			l.conn.Deliver(m.frame, false)
		}
	}
	if len(l.resumed) == len(l.owed.wanted) {
		b.forgetLocked(l.owed)
	}
}

// departureLocked finds one that subscribed to these among its kind.
func (b *hub) departureLocked(topics []topic) *departure {
	if len(topics) == 0 {
		return nil
	}
	for _, d := range b.departed {
		n := 0
		for t := range d.wanted {
			if t.kind == topics[0].kind {
				n++
			}
		}
		same := n == len(topics) && !d.taken()
		for _, t := range topics {
			same = same && d.wanted[t]
		}
		if same {
			d.until = time.Time{} // taken
			return d
		}
	}
	return nil
}

func (d *departure) taken() bool { return d.until.IsZero() }
