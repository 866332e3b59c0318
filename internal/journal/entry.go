package journal

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Kind tells entries apart.
type Kind byte

// The kinds.
const (
	KindWrite  Kind = 'w' // writes
	KindTx     Kind = 't' // a transaction
	KindScript Kind = 's' // in it are scripts of the user, which may have failed in part
	KindOpen   Kind = 'o' // a journal was opened
	KindName   Kind = 'n' // a key, whose state stands for its writes
)

// Entry is one entry: what one step on local wrote.
type Entry struct {
	ID        ID
	Kind      Kind
	DB        string // "" the home database, else the one that was SELECTed
	Commands  [][]string
	Deadlines []Deadline

	bad error // why it cannot be read; Commands holds its fields then
}

// Deadline is when a key of an entry expires, by local's clock.
type Deadline struct {
	Command, Arg int   // where the key stands
	Ms           int64 // since 1970; 0: it was gone at once
}

// DeadlineName is the name of a command that only sets its key's deadline.
const DeadlineName = "!deadline"

var errEntry = errors.New("redis fallback: an entry of the journal cannot be read")

// ParseEntry reads an entry from its id and its flattened fields: the header
// "kind|db|arguments of each command|deadlines", and the arguments.
func ParseEntry(id string, fields []string) (e Entry, err error) {
	var d decoder
	err = d.decode(&e, id, fields)
	return e, err
}

// decoder reads entries. Most headers are as the one before, and are not read again.
type decoder struct {
	slab      int    // for how many commands room is made at least
	text      string // the header
	kind      Kind
	db        string
	counts    []int  // arguments of each command
	deadlines string // their text
	lists     [][]string
}

func (d *decoder) decode(e *Entry, id string, fields []string) error {
	*e = Entry{ID: ParseID(id)}
	bad := func(what string) error { return fmt.Errorf("%w: %s: %s", errEntry, id, what) }
	if len(fields) == 0 {
		return bad("it is empty")
	}
	if d.text != fields[0] || d.text == "" {
		if wrong := d.header(fields[0]); wrong != "" {
			d.text, e.Kind, e.DB = "", d.kind, d.db
			return bad(wrong)
		}
	}
	e.Kind, e.DB = d.kind, d.db
	rest := fields[1:]
	if len(d.counts) > 0 {
		e.Commands = d.commands(len(d.counts))
		for i, n := range d.counts {
			if n > len(rest) {
				return bad("wrong number of arguments")
			}
			e.Commands[i] = rest[:n:n]
			rest = rest[n:]
		}
	}
	if len(rest) > 1 {
		return bad("arguments of no command")
	}
	if d.deadlines != "" {
		e.Deadlines = make([]Deadline, 0, strings.Count(d.deadlines, ",")+1)
		for text := range strings.SplitSeq(d.deadlines, ",") {
			d, ok := parseDeadline(text)
			if !ok || d.Command >= len(e.Commands) || d.Arg >= len(e.Commands[d.Command]) {
				return bad("no deadline")
			}
			e.Deadlines = append(e.Deadlines, d)
		}
	}
	return nil
}

// header reads a header, and returns what is wrong with it.
func (d *decoder) header(text string) (wrong string) {
	d.text, d.kind, d.db, d.deadlines, d.counts = text, 0, "", "", d.counts[:0]
	kind, head, ok1 := strings.Cut(text, "|")
	db, head, ok2 := strings.Cut(head, "|")
	counts, deadlines, ok3 := strings.Cut(head, "|")
	if !ok1 || !ok2 || !ok3 || len(kind) != 1 || strings.IndexByte(deadlines, '|') >= 0 {
		return "no header"
	}
	d.kind, d.db, d.deadlines = Kind(kind[0]), db, deadlines
	if db != "" {
		if n, err := strconv.Atoi(db); err != nil || n < 0 {
			return "no database"
		}
	}
	if counts == "" {
		return ""
	}
	for count := range strings.SplitSeq(counts, ",") {
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return "wrong number of arguments"
		}
		d.counts = append(d.counts, n)
	}
	return ""
}

// commands returns room for the commands of an entry.
func (d *decoder) commands(n int) [][]string {
	if len(d.lists) < n {
		d.lists = make([][]string, max(n, d.slab))
	}
	list := d.lists[:n:n]
	d.lists = d.lists[n:]
	return list
}

// parseDeadline reads "command.argument=ms".
func parseDeadline(s string) (d Deadline, ok bool) {
	where, ms, ok1 := strings.Cut(s, "=")
	c, a, ok2 := strings.Cut(where, ".")
	if !ok1 || !ok2 {
		return d, false
	}
	var err1, err2, err3 error
	d.Command, err1 = strconv.Atoi(c)
	d.Arg, err2 = strconv.Atoi(a)
	d.Ms, err3 = strconv.ParseInt(ms, 10, 64)
	return d, err1 == nil && err2 == nil && err3 == nil && d.Command >= 0 && d.Arg > 0 && d.Ms >= 0
}

// Fields returns the entry as the fields that ParseEntry reads.
func (e *Entry) Fields() []string {
	var head strings.Builder
	head.WriteByte(byte(e.Kind))
	head.WriteString("|" + e.DB + "|")
	n := 1
	for i, c := range e.Commands {
		if i > 0 {
			head.WriteByte(',')
		}
		head.WriteString(strconv.Itoa(len(c)))
		n += len(c)
	}
	head.WriteByte('|')
	for i, d := range e.Deadlines {
		if i > 0 {
			head.WriteByte(',')
		}
		fmt.Fprintf(&head, "%d.%d=%d", d.Command, d.Arg, d.Ms)
	}
	fields := append(make([]string, 0, n+1), head.String())
	for _, c := range e.Commands {
		fields = append(fields, c...)
	}
	if len(fields)%2 != 0 {
		fields = append(fields, "") // a stream's fields come in pairs
	}
	return fields
}
