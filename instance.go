package fallback

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// What an instance is in. 0 is the state of nearly all calls: nothing to remember.
const (
	fresh     uint32 = 1 << iota // nothing has been sent through it
	handshake                    // it sets up a connection
	seated                       // its connection is in a state of its own: see seat
	alone                        // it was built for one call: see beside.go
)

// instance is one set of closures that go-redis has built: the client's own, or that of a Conn, a
// Watch, or the set-up of one connection. go-redis names none of them. They are told apart by what is
// sent through them first, and by dials: only a client makes them.
type instance struct {
	state  atomic.Uint32
	root   atomic.Bool // of a client: its connections come from a pool, no session belongs to it
	dials  atomic.Bool // connections are made through it: it is no cluster's
	whole  atomic.Bool // all of its closures were built, in order
	unsure atomic.Bool // its closures may belong to different sets

	next redis.ProcessHook // below the hook
	seat atomic.Pointer[seat]
}

func newInstance() *instance {
	in := &instance{}
	in.state.Store(fresh)
	return in
}

// newAlone is what a closure belongs to that is of no set.
func newAlone() *instance {
	in := newInstance()
	in.state.Or(alone)
	in.unsure.Store(true)
	return in
}

func (in *instance) is(state uint32) bool { return in.state.Load()&state != 0 }

// dialed sees a connection being made for a client's pool.
func (in *instance) dialed() {
	if !in.dials.Load() {
		in.dials.Store(true)
	}
	if !in.root.Load() {
		in.root.Store(true)
		in.state.And(^seated)
	}
}

// session reports whether the instance may be that of a Conn or a Watch.
func (in *instance) session() bool {
	return in.whole.Load() && !in.root.Load() && !in.unsure.Load() && !in.is(handshake)
}

// sit returns the instance's seat. It is given up when the instance is collected: nobody tells of a
// Conn that is closed, or simply dropped.
func (in *instance) sit(h *Hook) *seat {
	if s := in.seat.Load(); s != nil {
		return s
	}
	s := &seat{h: h}
	if !in.seat.CompareAndSwap(nil, s) {
		return in.seat.Load()
	}
	runtime.AddCleanup(in, (*seat).dropped, s)
	in.state.Or(seated)
	return s
}

// linker finds the closures that belong together. go-redis builds the four of one set back to back,
// on one goroutine: dial, process, pipeline, transaction. While a set is being built the others wait,
// for a few microseconds; a set that does not go on is given up after a while, and marked as unsure, as
// is everything that does not fit the order.
//
// A closure for one call alone, as an autopipeline has one built for each of its batches, may be built
// beside a set. What tells it from one of the set is where its frame lies: the four builders of a set
// are called from one frame, each at a distance from the first that AddHook has shown. A frame of
// another goroutine cannot be there. A stack that moves in between makes the set an unsure one.
type linker struct {
	building chan struct{} // holds one while a set is being built

	mu     sync.Mutex
	cur    *instance
	step   int     // closures built of cur
	first  uintptr // where the frame of its first builder was
	apart  [4]uintptr
	taught bool        // apart is known
	missed int         // sets in a row that were never finished: apart is wrong
	doubt  *[4]uintptr // apart of the set before, while it is being learned anew
}

// stuck is how long a set may take before the next one no longer waits for it.
const stuck = 50 * time.Millisecond

func (l *linker) init() { l.building = make(chan struct{}, 1) }

// begin is called by the first of the four builders. place is where its frame lies.
func (l *linker) begin(place uintptr) *instance {
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
		if l.missed++; l.missed == 3 && l.taught { // the stack moved while it was learned
			l.taught, l.doubt = false, &[4]uintptr{}
		}
	}
	l.cur, l.step, l.first = newInstance(), 1, place
	return l.cur
}

// process is called by the second.
func (l *linker) process(place uintptr) *instance { return l.take(place, 1, 1) }

// pipeline is called by the third and the fourth.
func (l *linker) pipeline(place uintptr) *instance { return l.take(place, 2, 3) }

func (l *linker) take(place uintptr, from, to int) *instance {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.cur
	if in == nil || l.taught && l.step < 4 && place-l.first != l.apart[l.step] {
		return newAlone()
	}
	if l.step < from || l.step > to { // out of order
		in.unsure.Store(true)
		l.endLocked()
		return newAlone()
	}
	if !l.taught {
		l.apart[l.step] = place - l.first
	}
	if l.step++; l.step == 4 {
		in.whole.Store(true)
		l.missed = 0
		if l.doubt != nil && *l.doubt != l.apart {
			in.unsure.Store(true)
			*l.doubt = l.apart
		} else {
			l.taught, l.doubt = true, nil
		}
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

// checkOrder looks, at the first call, whether AddHook has built the hook in the order that tells a Conn
// and a Watch from the client. If not, those stay on the primary.
func (h *Hook) checkOrder(in *instance) {
	if in.root.Load() && !in.whole.Load() && !h.unordered.Swap(true) {
		h.cfg.logger.Error("redis fallback: this go-redis builds hooks in an order that is not known; Watch and Conn stay on the primary")
	}
}

// enoughStack has the stack grow now, if it must, and not while a set is being built.
//
//go:noinline
func enoughStack() {
	var room [4 << 10]byte
	touch(room[:])
}

//go:noinline
func touch(b []byte) { b[0] = 1 }
