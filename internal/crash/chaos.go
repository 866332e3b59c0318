package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fault is a kind of misfortune.
type fault string

// The faults. Those of a drain wait for the next one, whichever process does it.
const (
	quotaAll    fault = "quota"               // everything is refused
	quotaWrites fault = "quota on writes"     // reads go on
	quotaSoon   fault = "quota after"         // some more commands, then everything is refused
	killWorker  fault = "kill -9 a process"   //
	stopWorker  fault = "stop a process"      //
	killLocal   fault = "kill -9 local"       //
	stopLocal   fault = "stop local"          //
	killPrimary fault = "kill -9 the primary" //
	stopPrimary fault = "stop the primary"    //
	part        fault = "part from primary"   // one process does not reach the primary
	cut         fault = "cut connections"     //
	lose        fault = "lose replies"        //
	slow        fault = "slow network"        //
	drainHold   fault = "hold a drain"        // its EXEC is on the way for long
	drainStop   fault = "stop a drainer"      // before its EXEC is sent on
	drainPause  fault = "pause a drainer"     // when it looks at the position
	drainKill   fault = "kill -9 a drainer"   // and its EXEC arrives
	drainLose   fault = "lose a drain's reply"
	drainSever  fault = "cut before a drain's EXEC"
	drainEvict  fault = "evict a drain's position" // right after its EXEC, whose reply is lost
	drainPass   fault = "overtake a drainer"       // stopped before its EXEC is sent on, until another has drained
	sleepOver   fault = "sleep through a return"   // one process, while local serves, until the primary does
)

const (
	everybody   = -1
	firstFault  = 800 * time.Millisecond
	meanBetween = 500 * time.Millisecond
	longest     = 4 * time.Second // that a process or its EXEC stands still
)

// event is one misfortune of a run.
type event struct {
	at    time.Duration
	fault fault
	who   int // a process, or everybody
	n     int
	last  time.Duration
}

func (e event) String() string {
	var b strings.Builder
	b.WriteString(string(e.fault))
	if e.n > 0 {
		b.WriteString(" " + strconv.Itoa(e.n))
	}
	if e.who != everybody {
		fmt.Fprintf(&b, " (process %d)", e.who)
	}
	if e.last > 0 {
		fmt.Fprintf(&b, " for %.2fs", e.last.Seconds())
	}
	return b.String()
}

// weights say how often each fault comes, how long it lasts at least and at most, and what it seizes:
// two faults of one thing do not overlap.
var weights = []struct {
	fault    fault
	weight   int
	min, max time.Duration
	seizes   string
}{
	{quotaAll, 6, 500 * time.Millisecond, 4 * time.Second, "quota"},
	{quotaWrites, 3, 500 * time.Millisecond, 3 * time.Second, "quota"},
	{quotaSoon, 4, time.Second, 3 * time.Second, "quota"},
	{killWorker, 4, 100 * time.Millisecond, time.Second, "process"},
	{stopWorker, 4, 300 * time.Millisecond, longest, "process"},
	{sleepOver, 3, 2500 * time.Millisecond, longest, "process"},
	{killLocal, 2, 200 * time.Millisecond, 1500 * time.Millisecond, "local"},
	{stopLocal, 2, 200 * time.Millisecond, 1500 * time.Millisecond, "local"},
	{killPrimary, 2, 200 * time.Millisecond, 2 * time.Second, "primary"},
	{stopPrimary, 2, 200 * time.Millisecond, 2500 * time.Millisecond, "primary"},
	{part, 3, 500 * time.Millisecond, 2500 * time.Millisecond, "network"},
	{cut, 3, 0, 0, "network"},
	{lose, 4, 0, 0, "network"},
	{slow, 2, 500 * time.Millisecond, 2 * time.Second, "network"},
	{drainHold, 3, 500 * time.Millisecond, longest, "drain"},
	{drainStop, 3, time.Second, longest, "drain"},
	{drainPause, 3, time.Second, longest, "drain"},
	{drainKill, 3, 100 * time.Millisecond, time.Second, "drain"},
	{drainLose, 3, 0, 0, "drain"},
	{drainSever, 2, 0, 0, "drain"},
	{drainEvict, 1, 0, 0, "drain"},
	{drainPass, 3, 2 * time.Second, longest, "drain"},
}

// schedule makes the misfortunes of one run: the same of the same seed. Early on everybody meets the
// quota, one after the other, so that every run has a time in which local serves. If some faults are
// named, the others do not come, and local need not serve at all.
func schedule(seed uint64, span time.Duration, processes int, only []fault) []event {
	rnd := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeatable
	between := func(low, high time.Duration) time.Duration { return low + time.Duration(rnd.Int64N(int64(high-low)+1)) }
	free := map[string]time.Duration{} // when what a fault seizes can be seized again
	var all []event
	for _, who := range rnd.Perm(processes) {
		if len(only) > 0 && !slices.ContainsFunc(only, trips) {
			break
		}
		at := between(firstFault, 2*firstFault)
		e := event{at: at, fault: quotaAll, who: who, last: min(between(2*time.Second, 4*time.Second), span/2)}
		free["quota"+strconv.Itoa(who)] = at + e.last
		all = append(all, e)
	}
	var choice []int // of weights, each as often as it weighs
	for i, w := range weights {
		n := w.weight
		if len(only) > 0 {
			n = 0
			if slices.Contains(only, w.fault) {
				n = w.weight
			}
		}
		for range n {
			choice = append(choice, i)
		}
	}
	for at := firstFault; ; {
		at += time.Duration(rnd.ExpFloat64() * float64(meanBetween))
		if at >= span {
			break
		}
		w := weights[choice[rnd.IntN(len(choice))]]
		e := event{at: at, fault: w.fault, who: everybody, last: between(w.min, w.max)}
		things := []string{w.seizes}
		if slices.Contains([]string{"quota", "process", "network"}, w.seizes) {
			if rnd.IntN(4) > 0 && w.fault != sleepOver {
				e.who = rnd.IntN(processes)
				things[0] += strconv.Itoa(e.who)
			} else {
				things = nil
				for p := range processes {
					things = append(things, w.seizes+strconv.Itoa(p))
				}
			}
		}
		switch w.fault {
		case quotaSoon:
			e.n = 1 + rnd.IntN(30)
		case lose:
			e.n = 1 + rnd.IntN(4)
		default:
		}
		if at+e.last > span || slices.ContainsFunc(things, func(t string) bool { return free[t] > at }) {
			continue
		}
		for _, t := range things {
			free[t] = at + e.last
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b event) int { return int(a.at - b.at) })
	return all
}

// trips reports that local serves in the time of a fault, or that the fault is of a drain after it.
func trips(f fault) bool {
	switch f {
	case killWorker, stopWorker, killLocal, stopLocal, cut, lose, slow:
		return false
	default:
		return true
	}
}

// slack is how long a time left that was read on local may have stood still before it counted on the
// primary: with the process that had read it, and with the primary. stood is how long one did that was
// stopped until something had happened.
func slack(all []event, stood time.Duration) time.Duration {
	process, primary := stood, time.Duration(0)
	for _, e := range all {
		switch e.fault {
		case stopWorker, drainHold, drainStop, drainPause:
			process = max(process, e.last)
		case stopPrimary:
			primary = max(primary, e.last)
		default:
		}
	}
	return process + primary + slowBy
}

// parseFaults reads names of faults, separated by commas.
func parseFaults(names string) ([]fault, error) {
	var all []fault
	for name := range strings.SplitSeq(names, ",") {
		f := fault(strings.TrimSpace(name))
		known := []fault{}
		for _, w := range weights {
			known = append(known, w.fault)
		}
		if !slices.Contains(known, f) {
			return nil, fmt.Errorf("no such fault: %q; there are %q", name, known)
		}
		all = append(all, f)
	}
	return all, nil
}
