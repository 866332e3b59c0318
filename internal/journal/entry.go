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
func ParseEntry(id string, fields []string) (Entry, error) {
	e := Entry{ID: ParseID(id)}
	bad := func(what string) (Entry, error) { return e, fmt.Errorf("%w: %s: %s", errEntry, id, what) }
	if len(fields) == 0 {
		return bad("it is empty")
	}
	kind, head, ok1 := strings.Cut(fields[0], "|")
	db, head, ok2 := strings.Cut(head, "|")
	counts, deadlines, ok3 := strings.Cut(head, "|")
	if !ok1 || !ok2 || !ok3 || len(kind) != 1 || strings.IndexByte(deadlines, '|') >= 0 {
		return bad("no header")
	}
	e.Kind, e.DB = Kind(kind[0]), db
	if e.DB != "" {
		if n, err := strconv.Atoi(e.DB); err != nil || n < 0 {
			return bad("no database")
		}
	}
	rest := fields[1:]
	if counts != "" {
		e.Commands = make([][]string, 0, strings.Count(counts, ",")+1)
		for count := range strings.SplitSeq(counts, ",") {
			n, err := strconv.Atoi(count)
			if err != nil || n < 1 || n > len(rest) {
				return bad("wrong number of arguments")
			}
			e.Commands = append(e.Commands, rest[:n:n])
			rest = rest[n:]
		}
	}
	if len(rest) > 1 {
		return bad("arguments of no command")
	}
	if deadlines != "" {
		for text := range strings.SplitSeq(deadlines, ",") {
			d, ok := parseDeadline(text)
			if !ok || d.Command >= len(e.Commands) || d.Arg >= len(e.Commands[d.Command]) {
				return bad("no deadline")
			}
			e.Deadlines = append(e.Deadlines, d)
		}
	}
	return e, nil
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
