package journal

import "strings"

// An inquiry finds out afterwards which commands of a transaction have failed whose replies nobody has
// seen. The entries are walked through twice: first for what has to be asked, then for what the answers
// say. It holds what it needs of each key, not the entries.
//
// Local has taken these commands, one after the other, so a command can fail on the primary only for what
// was there before them all and was another thing than on local. What a SET or DEL has fixed cannot make
// a later one fail, and what it has overwritten has failed without a trace, as folding would have had it.
type inquiry struct {
	home    string
	keys    map[place]*trace
	order   []*trace
	missing map[string]error                    // databases that cannot be selected
	dbs     map[string]bool                     // that were written to
	refused func(e *Entry, args []string) error // what was never queued
	flushed map[string]bool                     // databases in which nothing of before is left
	all     bool                                // of all databases
	renamed map[int]bool                        // RENAMEs of keys that are known to have been there
	at      int                                 // the command, from 1
}

// trace is what is known of a key.
type trace struct {
	place
	since   int             // the command that has last fixed or tainted it
	fixed   bool            // it was fixed: nothing after that can fail
	read    int             // the last command that took it elsewhere before it was fixed
	needs   types           // of the commands after since
	removed bool            // they may have left nothing
	check   bool            // whether it is there tells something
	there   bool            // a command has made it, or it was there
	value   bool            // commands count with its value
	float   bool            // and may have made it a fraction
	text    bool            // or others anything
	fields  map[string]bool // those that commands count with, and false those that were set in any case
	groups  map[string]bool // those that commands need, and false those that were made or taken away
	adds    adds

	kind    string // as TYPE says, "" if that could not be told
	number  string // the beginning of its value
	numbers map[string]string
	present map[string]bool // its groups; nil if that could not be told
}

func newInquiry(home string, refused func(e *Entry, args []string) error) *inquiry {
	return &inquiry{
		home: home, refused: refused, keys: map[place]*trace{}, missing: map[string]error{}, dbs: map[string]bool{},
		flushed: map[string]bool{}, renamed: map[int]bool{},
	}
}

func (q *inquiry) trace(at place) *trace {
	if at.db == q.home {
		at.db = ""
	}
	t := q.keys[at]
	if t == nil {
		t = &trace{place: at, fixed: q.all || q.flushed[at.db]}
		q.keys[at] = t
		q.order = append(q.order, t)
	}
	return t
}

// again makes the key one of which only what comes now matters.
func (t *trace) again(at int, fixed bool) {
	*t = trace{place: t.place, since: at, fixed: fixed, read: t.read}
}

// note takes down what has to be asked because of an entry.
func (q *inquiry) note(e *Entry) {
	if e.DB != q.home && e.DB != "" && len(e.Commands) > 0 {
		q.dbs[e.DB] = true
	}
	for i, args := range e.Commands {
		q.at++
		if e.bad == nil && q.refused(e, args) == nil {
			q.noteOne(e, i, strings.ToLower(args[0]), args)
		}
	}
}

func (q *inquiry) noteOne(e *Entry, index int, name string, args []string) {
	if name == "flushdb" || name == "flushall" || name == "swapdb" {
		q.noteAll(e.DB, name)
		return
	}
	uses, _ := usesOf(e.DB, name, args)
	for _, u := range uses {
		t := q.trace(u.at)
		switch u.doing {
		case doesNeed:
			if !t.fixed {
				t.need(u.types, name, args)
				if len(uses) > 1 {
					t.read = q.at
				}
			}
			t.there = t.there || !u.looks
			t.removed = t.removed || removers[name]
		case doesRead:
			if !t.fixed && t.needs != 0 {
				t.read = q.at
			}
			if strings.HasPrefix(name, "rename") {
				q.renamed[q.at] = t.there && !t.removed
			}
		case doesFix:
			t.again(q.at, true)
			t.there = name == "set" || name == "mset"
		case doesTaint:
			t.again(q.at, false)
			t.check = name == "restore" || strings.HasPrefix(name, "rename")
		}
	}
	for _, d := range e.Deadlines {
		if d.Command != index || d.Arg >= len(args) {
			continue
		}
		if t := q.trace(place{e.DB, args[d.Arg]}); d.Ms == 0 {
			t.again(q.at, true)
		} else {
			t.removed = true
		}
	}
}

// noteAll takes down what changes all keys of a database.
func (q *inquiry) noteAll(db, name string) {
	if db == q.home {
		db = ""
	}
	if name == "swapdb" {
		for _, t := range q.keys {
			if !t.fixed && t.needs != 0 {
				t.read = q.at
			}
			t.again(q.at, false)
		}
		q.all = false
		clear(q.flushed)
		return
	}
	for at, t := range q.keys {
		if name == "flushall" || at.db == db {
			t.again(q.at, true)
		}
	}
	q.all = q.all || name == "flushall"
	q.flushed[db] = true
}

// need takes down that a command needs a type, and a number where it counts.
func (t *trace) need(needs types, name string, args []string) {
	t.needs |= needs
	n := len(args)
	switch name {
	case "incr", "decr", "incrby", "decrby", "incrbyfloat", "pfadd", "pfmerge":
		t.value = true
		t.float = t.float || name == "incrbyfloat"
	case "append", "setrange", "setbit", "bitfield":
		t.text = true
	case "hincrby", "hincrbyfloat":
		t.fields = firstly(t.fields, true, args[2])
	case "hset", "hmset":
		for i := 2; i < n; i += 2 {
			t.fields = firstly(t.fields, false, args[i])
		}
	case "hsetnx":
		t.fields = firstly(t.fields, false, args[2])
	case "hdel":
		t.fields = firstly(t.fields, false, args[2:]...)
	case "xclaim":
		t.groups = firstly(t.groups, true, args[2])
	case "xgroup":
		sub := strings.ToLower(args[1])
		t.groups = firstly(t.groups, sub != "create" && sub != "destroy", args[3])
	case "xadd":
		t.adds.note(args)
	case "xtrim":
		t.adds.trimmed = true
	case "xdel":
		t.adds.drop(args[2:])
	}
}

// firstly remembers what the first command said of names that concern only a part of a key: what was
// before a part was set does not matter.
func firstly(m map[string]bool, matters bool, names ...string) map[string]bool {
	if m == nil {
		m = map[string]bool{}
	}
	for _, name := range names {
		if !matters {
			m[name] = false
		} else if _, known := m[name]; !known {
			m[name] = true
		}
	}
	return m
}

// asks reports whether the primary is asked about the key.
func (t *trace) asks() bool { return !t.fixed && (t.needs != 0 || t.check) }
