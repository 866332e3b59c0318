package main

import (
	"slices"
	"time"

	"github.com/redis-fallback/fallback/internal/crash/quota"
)

// trap is a fault that waits for a step of a drain, whichever process does it.
type trap struct {
	event
	sprung bool
	done   chan struct{} // closed when it has struck
}

// trap has a drain struck: the first for the first trap, and so on. It returns when that is done, or when
// the run is over and no drain has come.
func (t *trial) trap(e event) {
	tr := t.set(e)
	select {
	case <-tr.done:
		return
	case <-t.over:
	}
	t.mu.Lock()
	sprung := tr.sprung
	t.traps = slices.DeleteFunc(t.traps, func(other *trap) bool { return other == tr })
	t.mu.Unlock()
	if sprung {
		<-tr.done
	}
}

func (t *trial) set(e event) *trap {
	tr := &trap{event: e, done: make(chan struct{})}
	t.mu.Lock()
	t.traps = append(t.traps, tr)
	first := len(t.traps) == 1
	t.mu.Unlock()
	if first {
		t.arm(tr)
	}
	return tr
}

// ownArgs is how many arguments there are at most in a transaction that sets the position alone: MSET of
// two keys, and EXEC.
const ownArgs = 6

// step is where a drain is struck.
func (e event) step() (command string, is func(args [][]byte) bool) {
	ours := quota.Has(positionMarker)
	switch e.fault {
	case drainPause:
		return "MGET", ours // behind WATCH, which is on the server by then
	case drainEvict, drainPass:
		return "EXEC", func(args [][]byte) bool { return len(args) > ownArgs && ours(args) } // it delivers something
	default:
		return "EXEC", ours
	}
}

func (t *trial) arm(tr *trap) {
	command, is := tr.step()
	for i, s := range t.seats {
		s.proxy.At(command, is, func() (quota.Fate, func()) {
			if !t.spring(tr) {
				return quota.Pass, nil
			}
			t.note("  a drain of process %d meets: %s", i, tr.event)
			fate, then := t.strikeDrain(tr.event, s)
			t.armNext()
			if then == nil {
				close(tr.done)
				return fate, nil
			}
			return fate, func() {
				then()
				close(tr.done)
			}
		})
	}
}

// spring reports that a trap strikes now: it does so once, and not after the run.
func (t *trial) spring(tr *trap) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.traps) == 0 || t.traps[0] != tr || tr.sprung {
		return false
	}
	tr.sprung = true
	return true
}

// armNext arms the next trap, if one waits.
func (t *trial) armNext() {
	t.mu.Lock()
	if len(t.traps) > 0 && t.traps[0].sprung {
		t.traps = t.traps[1:]
	}
	waiting := slices.Clone(t.traps)
	t.mu.Unlock()
	if len(waiting) > 0 {
		t.arm(waiting[0])
	}
}

// until asks again and again, until it is so or the time is over.
func until(limit time.Duration, so func() bool) bool {
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		switch {
		case so():
			return true
		case time.Now().After(deadline):
			return false
		}
	}
}
