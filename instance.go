package fallback

import (
	"sync"
	"sync/atomic"
	"time"
)

// instance is one set of closures that go-redis has built: the client's own, or that of a Conn, a
// Watch, or the set-up of one connection. go-redis names none of them; they are told apart by what is
// sent through them first.
type instance struct {
	root  bool // of a client: its connections come from a pool, no session belongs to it
	alone bool // one closure, built for a single call

	dialed    atomic.Bool // connections are made through it: it is no cluster's
	kept      atomic.Bool // everything sent through it stays on the primary
	handshake atomic.Bool // it sets up a connection
	armed     atomic.Bool // between WATCH or MULTI and EXEC
	moved     atomic.Bool // its connection is in another state than the pool's
	unsure    atomic.Bool // its closures may belong to different sets
}

func (in *instance) keep() {
	in.kept.Store(in.handshake.Load() || in.armed.Load() || in.moved.Load())
}

func (in *instance) set(flag *atomic.Bool, v bool) {
	flag.Store(v)
	in.keep()
}

// executed sees the end of a transaction.
func (in *instance) executed(err error) {
	if in.armed.Load() && endsWatch(err) {
		in.set(&in.armed, false)
	}
}

// linker finds the closures that belong together. go-redis builds the four of one set back to back,
// on one goroutine: dial, process, pipeline, transaction. While a set is being built the others wait,
// for a few hundred nanoseconds; a set that does not go on is given up after a while, and marked as
// unsure, as is everything that does not fit the order.
type linker struct {
	building chan struct{} // holds one while a set is being built

	mu   sync.Mutex
	cur  *instance
	step int // closures built of cur
}

// stuck is how long a set may take before the next one no longer waits for it.
const stuck = 50 * time.Millisecond

func (l *linker) init() { l.building = make(chan struct{}, 1) }

// begin is called by the first of the four builders.
func (l *linker) begin() *instance {
	select {
	case l.building <- struct{}{}:
	default:
		wait := time.NewTimer(stuck)
		defer wait.Stop()
		select {
		case l.building <- struct{}{}:
		case <-wait.C: // taken over from a set that was never finished
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cur != nil {
		l.cur.unsure.Store(true)
	}
	l.cur, l.step = &instance{}, 1
	return l.cur
}

// process is called by the second.
func (l *linker) process() *instance { return l.take(1, 1) }

// pipeline is called by the third and the fourth.
func (l *linker) pipeline() *instance { return l.take(2, 3) }

func (l *linker) take(from, to int) *instance {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.cur
	if in == nil || l.step < from || l.step > to {
		// Alone, as go-redis builds one for a single call, or out of order.
		if in != nil {
			in.unsure.Store(true)
			l.endLocked()
		}
		in = &instance{alone: true}
		in.unsure.Store(true)
		return in
	}
	if l.step++; l.step == 4 {
		l.endLocked()
	}
	return in
}

func (l *linker) endLocked() {
	l.cur, l.step = nil, 0
	select {
	case <-l.building:
	default:
	}
}
