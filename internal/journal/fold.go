package journal

import (
	"cmp"
	"slices"
	"strings"
)

// Bounds bound what is sent in one transaction. 0 is the default.
type Bounds struct {
	Commands int // for the primary, after folding; 1,000
	Bytes    int // of their arguments; 1 MiB
	Entries  int // of the journal; 50,000
}

func (b Bounds) orDefault() Bounds {
	return Bounds{cmp.Or(b.Commands, 1000), cmp.Or(b.Bytes, 1<<20), cmp.Or(b.Entries, 50_000)}
}

// folder turns entries into fewer commands that leave the same state. Single-key commands of one key
// are folded while nothing else is on that key between; anything else is a barrier, which everything
// before it precedes. What it gives runs in one transaction, so nobody sees in which order the
// commands of different keys run.
type folder struct {
	now    int64  // local's clock
	home   string // the number of the home database, which entries call "" as well
	bounds Bounds
	exact  bool // the bounds hold for the last entry as well
	merge  bool // SETs and UNLINKs of different keys become one command

	store   *chains
	before  deadlines // that were delivered before this batch
	chains  map[place]*chain
	order   []*chain // of this segment
	out     []command
	bases   int // keys of this segment that were set or are gone
	cost    int // commands of this segment, but those that are merged
	bytes   int
	entries int
	last    ID // of the entries
	unread  []*Entry
	names   []name // that entries are
	walled  bool   // nothing is known of what was before
	end     bool   // of the journal: nothing comes after these entries
	part    bool   // the drain is not to reach the end
	shut    bool   // writers wait: nothing is made good that can be left
	crowded bool   // there was no room to make all deadlines good

	tightened map[place]slack // keys that were given more time before, and what they have now
	reset     bool            // the position has to be set again, for a command may have taken it away
}

type place struct{ db, key string }

func newFolder(now int64, home string, bounds Bounds, merge bool, before deadlines, store *chains) *folder {
	store.reset()
	return &folder{
		now: now, home: home, bounds: bounds.orDefault(), merge: merge, before: before,
		store: store, chains: store.byPlace, out: store.out[:0],
	}
}

// chains is the memory of one batch, which the next one uses again.
type chains struct {
	byPlace map[place]*chain
	blocks  [][]chain
	taken   int
	out     []command
}

const chainBlock = 128

func (s *chains) reset() {
	if s.byPlace == nil || s.taken > 16*chainBlock*chainBlock {
		*s = chains{byPlace: make(map[place]*chain)}
	}
	clear(s.byPlace)
	s.taken = 0
}

func (s *chains) chain() *chain {
	i := s.taken / chainBlock
	if i == len(s.blocks) {
		s.blocks = append(s.blocks, make([]chain, chainBlock))
	}
	c := &s.blocks[i][s.taken%chainBlock]
	*c = chain{}
	s.taken++
	return c
}

// commands is how many commands there are so far, or a few more.
func (f *folder) commands() int {
	n := len(f.out) + f.cost
	if f.bases > 0 {
		if f.merge {
			n += 2 + f.bases/maxArguments
		} else {
			n += f.bases
		}
	}
	return n
}

// add takes one entry more, and reports false where there is no room for it. The first one always has. The
// last one may go beyond the bounds, since only after it is folded can it be told what it costs, unless
// exact says that they are all that may be spent.
func (f *folder) add(e *Entry) bool {
	if f.entries > 0 {
		room := f.bounds.Commands - f.commands()
		if f.entries >= f.bounds.Entries || f.bytes >= f.bounds.Bytes || room < 0 ||
			f.exact && room < len(e.Commands)+len(e.Deadlines) {
			return false
		}
	}
	f.entries++
	f.last = e.ID
	if e.bad != nil {
		f.unread = append(f.unread, e)
		return true
	}
	db := e.DB
	if db == f.home {
		db = ""
	}
	deadlines := e.Deadlines
	if Mutate.NoDeadlines {
		deadlines = nil
	}
	for i, args := range e.Commands {
		n := 0
		for n < len(deadlines) && deadlines[n].Command == i {
			n++
		}
		f.take(e, db, i, args, deadlines[:n])
		deadlines = deadlines[n:]
	}
	return true
}

// take adds a command, whose keys have these deadlines after it.
func (f *folder) take(e *Entry, db string, index int, args []string, deadlines []Deadline) {
	from, ms := source{e.ID, index}, int64(e.ID.Ms)
	if args[0] == DeadlineName {
		if len(args) == 2 && len(deadlines) == 1 {
			f.change(db, args[1], func(c *chain) {
				if deadlines[0].Ms == 0 {
					c.kill(from)
					return
				}
				c.expire(deadlines[0].Ms, from)
			})
		}
		return
	}
	h, name := howOf(args)
	switch h {
	case howFlush:
		f.flushed(db, name, args, from)
	case howKill:
		for _, key := range args[1:] {
			f.bytes += len(key) + 16
			f.change(db, key, func(c *chain) { c.kill(from) })
		}
	case howSets:
		for i := 1; i+1 < len(args); i += 2 {
			f.bytes += size(args[i : i+2])
			f.change(db, args[i], func(c *chain) { c.put(args[i+1], from) })
		}
	case howWall, howSeveral:
		f.barrier(db, h == howWall || name == "copy" && len(args) > 4, args, from, ms, deadlines)
	default:
		at := keyOf(name)
		if at >= len(args) {
			f.barrier(db, true, args, from, ms, deadlines)
			return
		}
		known := int64(-1)
		for _, d := range deadlines {
			if d.Arg == at {
				known = d.Ms
			}
		}
		f.change(db, args[at], func(c *chain) { f.single(c, e.Kind, h, name, args, from, known) })
	}
}

// single adds a command of one key. known is the deadline after it: 0 the key was gone, -1 none.
func (f *folder) single(c *chain, kind Kind, h how, name string, args []string, from source, known int64) {
	if h != howPersist { // it was written down because the key was there
		c.pass(int64(from.id.Ms), known, from)
	}
	switch {
	case h == howSet && (len(args) == 3 || c.base != asItWas || known > 0 || c.deadline > 0):
		// KEEPTTL keeps what is known, or nothing if there was none.
		f.bytes += size(args[1:3])
		c.put(args[2], from)
	case h == howSet: // KEEPTTL of what only the primary knows
		c.ops, c.fields = nil, nil
		c.push(op{how: howSingle, name: name, args: args, from: from, folds: 1})
		f.bytes += size(args)
		return
	case h == howWhole:
		c.kill(from)
		c.base = asItWas
		c.push(op{how: h, name: name, args: args, from: from, folds: 1})
		f.bytes += size(args)
	default:
		f.bytes += c.add(h, name, args, from)
	}
	switch {
	case known == 0:
		c.kill(from)
	case known > 0:
		c.expire(known, from)
	case kind != KindScript && !removes[name]:
		// A write that keeps the deadline records it: there is none any more. Only what ran beside a
		// script of the user has not looked, and what only takes away, since to a key that is gone it does
		// nothing.
		c.expire(0, from)
	}
}

// chain returns the chain of a key.
func (f *folder) chain(at place) *chain {
	c := f.chains[at]
	if c == nil {
		c = f.store.chain()
		c.db, c.key, c.deadline = at.db, at.key, f.before.known[at]
		f.chains[at] = c
	}
	return c
}

// change changes the chain of a key.
func (f *folder) change(db, key string, do func(*chain)) {
	c := f.chain(place{db, key})
	if !c.touched {
		c.touched = true
		f.order = append(f.order, c)
	}
	f.count(c, -1)
	do(c)
	f.count(c, 1)
}

func (f *folder) count(c *chain, sign int) {
	f.cost += sign * c.cost()
	if c.base != asItWas {
		f.bases += sign
	}
}

// barrier adds a command that may look at several keys.
func (f *folder) barrier(db string, wall bool, args []string, from source, ms int64, dues []Deadline) {
	f.segment(ms, false)
	f.out = append(f.out, command{db: db, args: args, from: from, folds: 1, wall: wall})
	f.bytes += size(args)
	name := strings.ToLower(args[0])
	f.reset = f.reset || wall // a script can flush
	if name == "swapdb" {
		clear(f.chains)
		f.before, f.walled = deadlines{}, true
	}
	for _, key := range written(name, args, wall) {
		// What is known of its deadline may be otherwise now.
		if at := (place{db, key}); f.chains[at] != nil || f.before.known[at] != 0 {
			c := f.chain(at)
			c.expire(0, from)
			c.loose = tight
		}
	}
	if other, ok := elsewhere(args); ok {
		if db = other; db == f.home {
			db = ""
		}
	}
	for _, d := range dues {
		f.change(db, args[d.Arg], func(c *chain) {
			if d.Ms == 0 {
				c.kill(from)
				return
			}
			c.expire(d.Ms, from)
		})
	}
}

// written returns the keys that a barrier may write to. Of a command that is not known, and of a script,
// that is whatever it names: what a script does to keys that it was not given nobody can follow.
func written(name string, args []string, wall bool) []string {
	switch {
	case wall:
		return args[1:]
	case len(args) < 3:
		return nil
	}
	switch name {
	case "rename", "renamenx", "smove", "lmove", "rpoplpush":
		return args[1:3]
	case "copy", "bitop":
		return args[2:3]
	}
	return args[1:2]
}

// elsewhere returns the database that a command writes to, if it names one.
func elsewhere(args []string) (string, bool) {
	switch name := strings.ToLower(args[0]); {
	case name == "move" && len(args) == 3:
		return args[2], true
	case name == "copy":
		for i := 3; i+1 < len(args); i++ {
			if strings.EqualFold(args[i], "db") {
				return args[i+1], true
			}
		}
	}
	return "", false
}

// flushed adds FLUSHDB or FLUSHALL: what was before it in the database does not matter, up to a
// command that may have reached elsewhere.
func (f *folder) flushed(db, name string, args []string, from source) {
	all := name == "flushall"
	hit := func(other string) bool { return all || other == db }
	f.order = slices.DeleteFunc(f.order, func(c *chain) bool {
		if hit(c.db) {
			f.count(c, -1)
			return true
		}
		return false
	})
	for at := range f.chains {
		if hit(at.db) {
			delete(f.chains, at)
		}
	}
	i := len(f.out)
	for i > 0 && !f.out[i-1].wall {
		i--
	}
	f.out = append(f.out[:i], slices.DeleteFunc(f.out[i:], func(c command) bool { return hit(c.db) })...)
	f.out = append(f.out, command{db: db, args: args, from: from, folds: 1})
	f.reset = f.reset || all || db == ""
}
