// Package breaker is a circuit breaker: a gate that shuts after failures in a row and lets a few
// calls try again after a while.
//
//	          Failures in a row
//	Closed ───────────────────────▶ Open
//	  ▲                             │  ▲
//	  │ Probes successes            │  │ one failure
//	  │                   Cooldown  ▼  │
//	  └───────────────────────── HalfOpen
//
// It has no goroutine and no timer: that the cool-down is over is found at the next look. Results of
// calls that began before the last change of state are dropped, so a slow failure from before cannot
// shut a gate that has just been opened.
package breaker

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// State of a Breaker.
type State uint8

// The three states.
const (
	// Closed lets every call through.
	Closed State = iota
	// Open lets none through, until the cool-down is over.
	Open
	// HalfOpen lets a bounded number of calls through, to see how they fare.
	HalfOpen
)

func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Outcome of a call.
type Outcome uint8

// A call succeeded, failed, or says nothing of the server (its caller gave up).
const (
	Success Outcome = iota
	Failure
	Ignored
)

// Config holds a breaker's numbers. 0 is the default.
type Config struct {
	// Failures in a row that open the breaker. Default 5.
	Failures int
	// Cooldown is how long it stays open before it lets calls try. Default 60 s.
	Cooldown time.Duration
	// Probes is how many calls may be under way at a time while half-open, and how many of them
	// must succeed in a row to close it. Default 1.
	Probes int
}

func (c Config) withDefaults() Config {
	if c.Failures <= 0 {
		c.Failures = 5
	}
	if c.Cooldown <= 0 {
		c.Cooldown = time.Minute
	}
	if c.Probes <= 0 {
		c.Probes = 1
	}
	return c
}

// Breaker is safe for concurrent use. Make one with New.
type Breaker struct {
	cfg Config

	// clean mirrors "closed, and no failure counted", and generation counts the changes of state:
	// both are written under mu and looked at without it, so that a healthy gate costs no lock.
	clean      atomic.Bool
	generation atomic.Uint64

	mu        sync.Mutex // protects all below
	state     State
	failures  int // in a row
	admitted  int // under way, while half-open
	successes int // in a row, while half-open
	openedAt  time.Time
}

// New returns a closed breaker.
func New(cfg Config) *Breaker {
	b := &Breaker{cfg: cfg.withDefaults()}
	b.clean.Store(true)
	return b
}

// Ticket ties a result to the state in which its call began.
type Ticket struct{ generation uint64 }

// Allow asks to make a call. Where it says yes, the call's result must be given to Done, whatever
// it is: a half-open breaker counts the calls under way.
func (b *Breaker) Allow() (Ticket, bool) {
	// The generation is read first: a change between the two reads makes the ticket stale, never
	// the result of an old call a new one.
	if g := b.generation.Load(); b.clean.Load() {
		return Ticket{g}, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.lookLocked() {
	case Open:
		return Ticket{}, false
	case HalfOpen:
		if b.admitted >= b.cfg.Probes {
			return Ticket{}, false
		}
		b.admitted++
	case Closed:
	}
	return Ticket{b.generation.Load()}, true
}

// Done gives the result of a call that Allow let through.
func (b *Breaker) Done(t Ticket, o Outcome) {
	if o == Success && b.clean.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lookLocked(); t.generation != b.generation.Load() {
		return
	}
	if b.state == HalfOpen {
		b.admitted--
	}
	b.recordLocked(o)
}

// Record gives the result of a call that did not ask Allow. While the breaker is open it is dropped.
func (b *Breaker) Record(o Outcome) {
	if o == Success && b.clean.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lookLocked()
	b.recordLocked(o)
}

// Clean reports, without a lock, that the breaker is closed and counts no failure: a success need
// not be recorded.
func (b *Breaker) Clean() bool { return b.clean.Load() }

// State returns the state at this moment.
func (b *Breaker) State() State {
	if b.clean.Load() {
		return Closed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lookLocked()
}

// Failures returns how many failures in a row have been counted: until the breaker is closed again, those that
// opened it and those of its trials since.
func (b *Breaker) Failures() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures
}

// Trip opens the breaker at once, for a caller that knows.
func (b *Breaker) Trip() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lookLocked() != Open {
		b.failures++
		b.setLocked(Open)
	}
}

// Reset closes the breaker at once, for a caller that knows.
func (b *Breaker) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.setLocked(Closed)
}

func (b *Breaker) recordLocked(o Outcome) {
	switch {
	case o == Ignored:
	case b.state == Closed && o == Success:
		b.failures = 0
		b.clean.Store(true)
	case b.state == Closed:
		b.failures++
		b.clean.Store(false)
		if b.failures >= b.cfg.Failures {
			b.setLocked(Open)
		}
	case b.state == HalfOpen && o == Success:
		if b.successes++; b.successes >= b.cfg.Probes {
			b.setLocked(Closed)
		}
	case b.state == HalfOpen:
		b.failures++
		b.setLocked(Open)
	}
}

// lookLocked folds the end of the cool-down into the look.
func (b *Breaker) lookLocked() State {
	if b.state == Open && time.Since(b.openedAt) >= b.cfg.Cooldown {
		b.setLocked(HalfOpen)
	}
	return b.state
}

// setLocked is the only writer of state.
func (b *Breaker) setLocked(s State) {
	b.state = s
	b.generation.Add(1)
	b.admitted, b.successes = 0, 0
	b.clean.Store(s == Closed)
	switch s {
	case Closed:
		b.failures = 0
	case Open:
		b.openedAt = time.Now()
	case HalfOpen:
	}
}
