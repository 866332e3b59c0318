package mirror

import "strconv"

// Bounds of a batch: local does nothing else while the script runs. A script's call takes some thousands
// of arguments at most.
const (
	batchOps   = 1000
	batchBytes = 1 << 20
	maxArgs    = 7000
)

// batch is one call of apply.lua in the making. It is used again and again.
type batch struct {
	m *Mirror

	head   []byte  // text that is ours
	pieces []piece // the arguments of the script
	slab   []string
	args   []any
	bytes  int

	refs  []ref  // what the operations are on, in order
	ended []load // calls whose last operation is in here
	db    string
	first int64 // when the oldest of its calls ended
}

// piece is an argument: text, or a part of the batch's head.
type piece struct {
	text     string
	from, to int
}

type ref struct {
	db, key string
	flush   bool
}

func (b *batch) reset() {
	clear(b.refs)
	clear(b.ended)
	clear(b.pieces)
	b.head, b.pieces, b.refs, b.ended = b.head[:0], b.pieces[:0], b.refs[:0], b.ended[:0]
	b.bytes, b.db, b.first = 0, "", 0
}

func (b *batch) full() bool { return len(b.refs) >= batchOps || b.bytes >= batchBytes }

func (b *batch) text(s string) {
	b.pieces = append(b.pieces, piece{text: s})
	b.bytes += len(s)
}

// ours ends a piece of the head that began at from.
func (b *batch) ours(from int) { b.pieces = append(b.pieces, piece{from: from, to: len(b.head)}) }

// call begins the operations of a call.
func (b *batch) call(number, began, ended, lo, hi int64) {
	from := len(b.head)
	b.head = append(b.head, '@')
	for i, n := range [...]int64{number, began, ended, lo, hi} {
		if i > 0 {
			b.head = append(b.head, ' ')
		}
		b.head = strconv.AppendInt(b.head, n, 10)
	}
	b.ours(from)
}

// add adds an operation. unsure says that nothing is to be done but to delete its key.
func (b *batch) add(o *op, unsure bool) {
	db := o.db
	switch {
	case db == b.m.home:
		db = ""
	case db != EveryDB:
	case o.kind != Flush:
		b.m.empty.Store(true)
		return
	}
	if o.kind == Flush {
		b.op('F', db, "", nil)
		return
	}
	if o.kind == Rename {
		// What the source holds on local may lack what another process has not delivered yet. That one
		// would take back the source, which is gone, and not what has become of it.
		if o.args[0] != o.key {
			b.one(Gone, db, o.key, nil, unsure)
			b.one(Unsure, db, o.args[0], nil, true)
		}
		return
	}
	b.one(o.kind, db, o.key, o.args, unsure)
}

func (b *batch) one(kind Kind, db, key string, args []string, unsure bool) {
	if f := b.m.cfg.Filter; f != nil && !f(key) {
		return
	}
	if kind != Unsure && (unsure || len(args) > maxArgs) {
		kind, args = Unsure, nil
		b.m.counters.dropped.Add(1)
	}
	if kind == Unsure || kind == Gone {
		args = nil
	}
	b.op(byte(kind), db, key, args)
}

func (b *batch) op(kind byte, db, key string, args []string) {
	if db != b.db {
		from := len(b.head)
		b.head = append(append(b.head, '='), db...)
		b.ours(from)
		b.db = db
	}
	stands := len(args) > 1 && args[1] == key
	if !stands && kind >= 'a' {
		kind -= 'a' - 'A'
	}
	from := len(b.head)
	b.head = append(b.head, kind)
	b.head = strconv.AppendInt(b.head, int64(len(args)), 10)
	b.ours(from)
	if !stands {
		b.text(key)
	}
	for _, a := range args {
		b.text(a)
	}
	b.refs = append(b.refs, ref{db, key, kind == byte(Flush)})
}

// finish returns the arguments, with room for the script's head and the given ones before them. They are
// pointers: as interfaces strings would each be copied to the heap.
func (b *batch) finish(before ...string) []any {
	head := string(b.head)
	b.slab, b.args = b.slab[:0], append(b.args[:0], nil, nil, nil)
	b.slab = append(b.slab, before...)
	for _, p := range b.pieces {
		if p.to > p.from {
			b.slab = append(b.slab, head[p.from:p.to])
		} else {
			b.slab = append(b.slab, p.text)
		}
	}
	for i := range b.slab {
		b.args = append(b.args, &b.slab[i])
	}
	return b.args
}
