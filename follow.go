package fallback

import (
	"context"
	"io"
	"time"
)

// follow is told who serves.
func (l *listener) follow(serving Backend) {
	l.hub.mu.Lock()
	live := make(map[topic]bool, len(l.wanted))
	for t := range l.wanted {
		live[t] = l.hub.liveLocked(t)
	}
	l.hub.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leader == serving {
		return
	}
	l.leader = serving
	for _, t := range l.order {
		if serving == Local && live[t] || serving == Primary && l.heard[t] {
			l.confirm(verbs[t.kind], t)
		}
	}
}

// catchUp subscribes on the primary to what it does not know of yet. Connections whose primary side has
// ended can only be made anew, by go-redis.
func (b *hub) catchUp() {
	var again []*listener
	for _, l := range b.all() {
		if l.catchUp() {
			again = append(again, l)
		}
	}
	b.depart(again...)
	for _, l := range again {
		l.conn.End(io.EOF)
	}
}

// catchUp reports that the connection is over, and must be made anew.
func (l *listener) catchUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	if l.gone {
		l.over = true
		return true
	}
	missing := map[topicKind][]string{}
	for _, t := range l.order {
		if !l.asked[t] {
			l.asked[t] = true
			missing[t.kind] = append(missing[t.kind], t.name)
		}
	}
	for kind, names := range missing {
		_ = l.conn.Send(array(append([]string{verbs[kind]}, names...)...))
	}
	return false
}

// caughtUp reports that the primary has confirmed all that is wanted.
func (l *listener) caughtUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.order {
		if !l.heard[t] && !l.over {
			return false
		}
	}
	return true
}

// Gone sees the primary's side end. While the primary serves, go-redis is to connect anew, but not
// before there is something to connect to: until then, local is listened to.
func (l *listener) Gone(err error) {
	h := l.hub.h
	l.mu.Lock()
	l.gone = true
	over := l.over
	l.mu.Unlock()
	if over {
		return
	}
	h.cut.Add(1)
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		e := h.era.Load()
		l.mu.Lock()
		over := l.over
		l.mu.Unlock()
		if over || e.serving == Local {
			return // the return will see to it
		}
		err := h.primary.lives(h.cfg.probeTimeout)
		cur := h.era.Load()
		switch {
		case cur != e:
			continue
		case err == nil, h.down.Load():
			if l.catchUp() {
				l.hub.depart(l)
				l.conn.End(io.EOF)
			}
			return
		}
		cur = h.primaryFailed(context.Background(), e, err)
		_ = pause(context.Background(), cur, wait)
	}
}

// Closed sees the client close the connection.
func (l *listener) Closed() {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.hub.leave(l)
}

// prepareReturn has everybody subscribed on the primary before it serves, within a bound. It reports
// false where the primary refuses that: it is not well.
func (h *Hook) prepareReturn() bool {
	if len(h.ears.all()) == 0 {
		return true
	}
	h.ears.refused.Store(false)
	h.ears.denied.Store(false)
	h.probing.Add(1) // connections may be made
	defer h.probing.Add(-1)
	for deadline := time.Now().Add(returnWait); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		h.ears.catchUp()
		if h.ears.ready() {
			return true
		}
		if h.ears.refused.Load() {
			return false
		}
		if h.ears.denied.Load() {
			return true // waiting would not help, and each further SUBSCRIBE is billed
		}
	}
	return true
}

// returnWait bounds how long a return waits for subscribers. Nobody waits for the return: local serves.
const returnWait = 2 * time.Second

// ready reports that nobody is on the way, and all are subscribed on the primary.
func (b *hub) ready() bool {
	b.mu.Lock()
	n := len(b.departed)
	b.mu.Unlock()
	if n > 0 {
		return false
	}
	for _, l := range b.all() {
		if !l.caughtUp() {
			return false
		}
	}
	return true
}
