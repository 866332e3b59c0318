// Package check holds the history of an application's writes against what the primary has in the end:
// nothing that was acknowledged is missing, nothing is there twice, and each key has its writes in
// order. It knows nothing of how the writes got there.
package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redis-fallback/fallback/internal/crash/history"
)

// Law is what a violation breaks.
type Law string

// The laws.
const (
	Missing    Law = "missing"      // acknowledged, and neither on the primary nor in the dead letters
	Doubled    Law = "doubled"      // twice, or although its caller was told that it had not run
	Disordered Law = "out of order" // against the order in which one goroutine wrote to one key
	Torn       Law = "torn"         // a transaction of which a part alone is there
	Foreign    Law = "foreign"      // nobody wrote it
	Expiry     Law = "expiry"       // without the expiry that was asked for, or with another one
)

// Violation is one finding.
type Violation struct {
	Law    Law
	Key    string
	Detail string
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Law, v.Key, v.Detail) }

// Letter is a dead letter, as it is stored.
type Letter struct{ ID, Payload string }

// Message is an entry of a stream.
type Message struct{ ID, Value string }

// Final is what the primary has in the end, and what local keeps in its dead letters.
type Final struct {
	At      int64 // ms since 1970, before it was read
	Strings map[string]string
	Lists   map[string][]string
	Sets    map[string]map[string]bool
	Hashes  map[string]map[string]string
	Streams map[string][]Message
	Expires map[string]int64 // ms since 1970; a key without an expiry is absent
	Letters []Letter
	// Slack is how many ms a server or a process stood still at most. The time left of a key is
	// counted on local and begins anew on the primary, so that it may be longer by as much.
	Slack int64
}

// Report is the outcome.
type Report struct {
	Acked  int // writes that were acknowledged
	Unsure int // writes that failed, or whose process was killed, and that may have run
	Dead   int // acknowledged writes that are in the dead letters alone
	// InDoubt counts the writes in dead letters that say so.
	InDoubt int
	// Letters counts the dead letters by what explains them.
	Letters map[string]int
	// Late counts writes that were lost, and took effect after later ones that the same server
	// acknowledged: what any Redis does whose connection ends.
	Late int
	// Stale counts values that were popped on both servers: local does not hear what is popped on
	// the primary, nor a process that has not yet heard of a trip what is popped on local.
	Stale int
	// Window counts values of lists and streams that came after one of another process that began when
	// they had been acknowledged: a process that has not yet heard of a trip goes on writing to the
	// primary, before what local has acknowledged is delivered.
	Window int
	// Slip is how many ms the expiry of a key is later than it was asked for, at most.
	Slip int64
	// Excused counts values of queues that are gone, where as many pops were lost.
	Excused    int
	Violations []Violation
}

// Count returns how many violations there are of a law.
func (r *Report) Count(l Law) int {
	n := 0
	for _, v := range r.Violations {
		if v.Law == l {
			n++
		}
	}
	return n
}

// margin is how many ms an expiry may be off.
const margin = 1000

// checker is one check on its way.
type checker struct {
	final  *Final
	ops    []*history.Op
	values map[string]*history.Op // by the value that is theirs alone
	where  map[string]*place      // by value
	Report
}

// place is where a value was found.
type place struct {
	keys []string
	dead int
	out  []*history.Op // the pops that took it
}

// History checks the operations of all processes of a run against what was found in the end.
func History(ops []*history.Op, final *Final) *Report {
	c := &checker{final: final, ops: ops, values: map[string]*history.Op{}, where: map[string]*place{}}
	c.Letters = map[string]int{}
	for _, o := range ops {
		if o.Wrote() {
			c.Acked++
		}
		if o.Unsure() {
			c.Unsure++
		}
		if o.Value != "" {
			c.values[o.Value] = o
		}
	}
	c.find()
	c.letters()
	c.counters()
	c.elements()
	c.queues()
	c.order()
	c.registers()
	c.swaps()
	c.expiries()
	c.transactions()
	return &c.Report
}

func (c *checker) violate(l Law, key, format string, args ...any) {
	c.Violations = append(c.Violations, Violation{l, key, fmt.Sprintf(format, args...)})
}

func (c *checker) at(value string) *place {
	p := c.where[value]
	if p == nil {
		p = &place{}
		c.where[value] = p
	}
	return p
}

// find notes where each value is, and what nobody wrote.
func (c *checker) find() {
	note := func(key, value string) {
		o := c.values[value]
		if o == nil || o.Key != key && (o.Kind != history.Swap || key != history.SwapsDone) {
			c.violate(Foreign, key, "%q", value)
			return
		}
		p := c.at(value)
		p.keys = append(p.keys, key)
	}
	for key, list := range c.final.Lists {
		for _, v := range list {
			note(key, v)
		}
	}
	for key, set := range c.final.Sets {
		for v := range set {
			note(key, v)
		}
	}
	for key, hash := range c.final.Hashes {
		if !isOwn(key) {
			for f, v := range hash {
				note(key, f)
				if f != v {
					c.violate(Foreign, key, "field %q has %q", f, v)
				}
			}
		}
	}
	for key, stream := range c.final.Streams {
		for _, m := range stream {
			note(key, m.Value)
		}
	}
	for _, o := range c.ops {
		if o.Kind == history.Pop && o.State == history.Acked && o.Reply != "" {
			p := c.at(o.Reply)
			p.out = append(p.out, o)
			if c.values[o.Reply] == nil {
				c.violate(Foreign, o.Key, "popped %q", o.Reply)
			}
		}
	}
}

// buried reports that a dead letter is about a key: of writes whose values are not theirs alone, such as
// increments, no more can be known.
func (c *checker) buried(key string) bool {
	return slices.ContainsFunc(c.final.Letters, func(l Letter) bool { return strings.Contains(l.Payload, key) })
}

// letters looks for the writes that each dead letter holds. How a letter is written is not known here:
// values are such that they can be found in any text.
func (c *checker) letters() {
	for _, l := range c.final.Letters {
		found := false
		for v := range eachValue(l.Payload) {
			if o := c.values[v]; o != nil {
				c.at(v).dead++
				c.Letters[explain(o, l.Payload)]++
				if inDoubt(l.Payload) {
					c.InDoubt++
				}
				found = true
			}
		}
		switch {
		case found:
		case inDoubt(l.Payload): // of a register, a version or a counter: which write it was is not told
			c.InDoubt++
			c.Letters["in doubt: of a key that is overwritten, or counts"]++
		default:
			c.Letters["unknown: "+cut(l.Payload)]++
		}
	}
}

func explain(o *history.Op, payload string) string {
	switch {
	case o.Kind == history.Clash:
		return "a list on local, a string on the primary"
	case inDoubt(payload):
		return "in doubt: " + string(o.Kind)
	default:
		return string(o.Kind) + ": " + cut(payload)
	}
}

func inDoubt(payload string) bool { return strings.Contains(payload, "doubt") }

func cut(s string) string { return fmt.Sprintf("%.120q", s) }

// eachValue gives what looks like a value in a text.
func eachValue(text string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for {
			end := strings.IndexByte(text, ';')
			if end < 0 {
				return
			}
			start := end
			for start > 0 && isWord(text[start-1]) {
				start--
			}
			// A length or a letter may stand right before it: what begins at each w is tried.
			for i := start; i < end; i++ {
				if text[i] == 'w' && !yield(text[i:end+1]) {
					return
				}
			}
			text = text[end+1:]
		}
	}
}

func isWord(b byte) bool { return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' }

// isOwn reports a hash whose content is checked elsewhere.
func isOwn(key string) bool {
	return strings.HasPrefix(key, "own:") || strings.HasPrefix(key, "session:")
}
