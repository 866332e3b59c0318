package journal

import (
	"slices"
	"strconv"
	"strings"
)

// segment ends a segment, before a command that was written at ms.
func (f *folder) segment(ms int64, end bool) {
	slices.SortStableFunc(f.order, func(a, b *chain) int { return strings.Compare(a.db, b.db) })
	for rest := f.order; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(c *chain) bool { return c.db != rest[0].db })
		if n < 0 {
			n = len(rest)
		}
		f.database(rest[:n], ms, f.grace(ms, end))
		rest = rest[n:]
	}
	f.order, f.cost, f.bases = f.order[:0], 0, 0
}

// database gives the commands for the chains of one database.
func (f *folder) database(chains []*chain, ms, grace int64) {
	unlink, mset := command{args: []string{"unlink"}, each: 1}, command{args: []string{"mset"}, each: 2}
	for _, c := range chains {
		c.loose = tight
		if c.due && c.deadline < ms { // it is there until its last millisecond is over
			c.kill(c.dueFrom)
		}
		switch {
		case c.base == gone:
			f.merged(&unlink, c, c.key)
		case c.base == set && (len(c.ops) > 0 || !c.due):
			f.merged(&mset, c, c.key, strings.Join(c.value, ""))
		}
	}
	f.emit(&unlink)
	f.emit(&mset)
	for _, c := range chains {
		for i := range c.ops {
			f.out = append(f.out, c.command(&c.ops[i]))
		}
		if c.due {
			d := command{db: c.db, args: []string{"pexpire", c.key}, from: c.dueFrom, folds: 1, due: c.deadline}
			if c.base == set && len(c.ops) == 0 {
				d.args, d.from, d.folds = []string{"set", c.key, strings.Join(c.value, ""), "px"}, c.from, c.folds
			}
			if c.deadline < f.now+grace {
				if c.loose = brief; grace > leastGrace {
					c.loose = ample
				}
				d.args, d.due = append(d.args, strconv.FormatInt(grace, 10)), 0
			}
			f.out = append(f.out, d)
		}
		c.base, c.value, c.folds, c.ops, c.fields, c.due, c.touched = asItWas, nil, 0, nil, nil, false, false
	}
}

// merged adds the beginning of a chain to that of others.
func (f *folder) merged(m *command, c *chain, args ...string) {
	if len(m.args) == 1 {
		m.db, m.from = c.db, c.from
	}
	m.args = append(m.args, args...)
	m.folds += c.folds
	if !f.merge || len(m.args) > maxArguments {
		f.emit(m)
	}
}

func (f *folder) emit(m *command) {
	if len(m.args) == 1 {
		return
	}
	one := *m
	if len(m.args) == 1+m.each {
		one.each = 0
		if m.each == 2 {
			one.args[0] = "set"
		}
	}
	f.out = append(f.out, one)
	*m = command{args: []string{m.args[0]}, each: m.each}
	if m.each == 2 {
		m.args[0] = "mset"
	}
}

// finish ends the batch and returns its commands.
func (f *folder) finish() []command {
	horizon := f.now
	if !f.end {
		horizon = min(horizon, int64(f.last.Ms))
	}
	f.segment(horizon, f.end)
	f.tighten(horizon)
	f.store.out = f.out
	return f.out
}
