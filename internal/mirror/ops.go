package mirror

import "encoding/binary"

// Kind says what an operation on local is.
type Kind byte

// The kinds. All but Rename and Flush touch one key.
const (
	// Whole makes the key: whatever is there goes first. Its command leaves nothing to be known of what
	// was there before.
	Whole Kind = 'w'
	// Partial changes a key that local must hold whole: where it does not, the operation is left out.
	Partial Kind = 'p'
	// Count is SET key value KEEPTTL, the number that a counter came to by going up. Of several at once
	// the highest is right.
	Count Kind = 'c'
	// Gone means that the key is not there any more: no command.
	Gone Kind = 'd'
	// Unsure means that local cannot know the key: no command. It is deleted there.
	Unsure Kind = 'u'
	// Rename is the key's content under the name that is its only argument.
	Rename Kind = 'r'
	// Flush empties the database: no key and no command.
	Flush Kind = 'F'
)

// Op is one operation.
type Op struct {
	Kind Kind
	DB   string // "" the home database, EveryDB, else the number of the one that was SELECTed
	Key  string
	Args []string // the command, with its name
}

// Ops are operations in the order in which they are to be done, in one buffer: adding to one that has
// grown allocates nothing. What is added is copied.
type Ops struct {
	buf []byte
	n   int
}

// Len returns how many there are.
func (o *Ops) Len() int { return o.n }

// Size returns how many bytes they take.
func (o *Ops) Size() int { return len(o.buf) }

// Reset empties it and keeps its room.
func (o *Ops) Reset() { o.buf, o.n = o.buf[:0], 0 }

// Add adds an operation. Arguments become text as go-redis writes them.
func (o *Ops) Add(kind Kind, db string, key any, args ...any) {
	o.n++
	o.buf = append(o.buf, byte(kind))
	o.text(db)
	o.arg(key)
	o.buf = binary.AppendUvarint(o.buf, uint64(len(args)))
	for _, a := range args {
		o.arg(a)
	}
}

// All yields the operations. Their text is a copy.
func (o *Ops) All(yield func(Op) bool) {
	rest := o.buf
	next := func() string {
		n, size := binary.Uvarint(rest)
		text := string(rest[size : size+int(n)]) //nolint:gosec // written by text and arg
		rest = rest[size+int(n):]                //nolint:gosec // as above
		return text
	}
	for len(rest) > 0 {
		op := Op{Kind: Kind(rest[0])}
		rest = rest[1:]
		op.DB, op.Key = next(), next()
		n, size := binary.Uvarint(rest)
		rest = rest[size:]
		if n > 0 {
			op.Args = make([]string, n)
			for i := range op.Args {
				op.Args[i] = next()
			}
		}
		if !yield(op) {
			return
		}
	}
}

func (o *Ops) text(s string) {
	o.buf = binary.AppendUvarint(o.buf, uint64(len(s)))
	o.buf = append(o.buf, s...)
}

// arg appends an argument with its length before it.
func (o *Ops) arg(v any) {
	switch v := v.(type) {
	case string:
		o.text(v)
		return
	case []byte:
		o.buf = binary.AppendUvarint(o.buf, uint64(len(v)))
		o.buf = append(o.buf, v...)
		return
	}
	// Its length is not known before it is written, and nearly always below 128: one byte.
	at := len(o.buf)
	o.buf = append(o.buf, 0)
	o.buf = AppendArg(o.buf, v)
	n := len(o.buf) - at - 1
	if n < 0x80 {
		o.buf[at] = byte(n)
		return
	}
	var head [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(head[:], uint64(n))
	o.buf = append(o.buf, head[:size-1]...)
	copy(o.buf[at+size:], o.buf[at+1:at+1+n])
	copy(o.buf[at:], head[:size])
}
