package journal

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Why a write became a dead letter.
const (
	LetterError   = "error"   // the primary answered with an error
	LetterDoubt   = "doubt"   // it may have run, and nobody can know any more
	LetterRefused = "refused" // the primary refused it within a transaction: it did not run, and is sent again
)

// Letter is a write that the primary has not taken, or may not have.
type Letter struct {
	ID        string
	Kind      string
	Entry     ID
	Index     int    // of the command in the entry; of the first one where several were folded
	DB        string // "" the home database
	Args      []string
	Deadlines []Deadline // of its keys; Command is always 0
	Error     string     // as the primary said it
	At        time.Time  // by local's clock
	Doubt     bool       // it may have run
	Folded    int        // writes it stands for
	Tries     int        // how often it was sent again
}

// letterText is a letter as local keeps it. Arguments that are no text are kept as bytes.
type letterText struct {
	Tries  int        `json:"tries"` // at the beginning, where a script finds it
	Kind   string     `json:"kind"`
	Entry  string     `json:"entry"`
	Index  int        `json:"index,omitempty"`
	DB     string     `json:"db,omitempty"`
	Name   string     `json:"command"`
	Args   []string   `json:"args,omitempty"`
	Bytes  [][]byte   `json:"bytes,omitempty"`
	Due    [][2]int64 `json:"deadlines,omitempty"` // argument, ms
	Error  string     `json:"error,omitempty"`
	At     int64      `json:"at"`
	Doubt  bool       `json:"doubt,omitempty"`
	Folded int        `json:"folded,omitempty"`
}

func (l *Letter) text() string {
	t := letterText{
		Tries: l.Tries,
		Kind:  l.Kind, Entry: l.Entry.String(), Index: l.Index, DB: l.DB, Name: l.Args[0], Error: l.Error,
		At: l.At.UnixMilli(), Doubt: l.Doubt, Folded: l.Folded,
	}
	if slices.ContainsFunc(l.Args, func(a string) bool { return !utf8.ValidString(a) }) {
		for _, a := range l.Args[1:] {
			t.Bytes = append(t.Bytes, []byte(a))
		}
	} else {
		t.Args = l.Args[1:]
	}
	for _, d := range l.Deadlines {
		t.Due = append(t.Due, [2]int64{int64(d.Arg), d.Ms})
	}
	b, err := json.Marshal(t)
	if err != nil { // it is all text and numbers
		return "{}"
	}
	return string(b)
}

func parseLetter(id, text string) (Letter, error) {
	var t letterText
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return Letter{}, fmt.Errorf("redis fallback: the dead letter %s cannot be read: %w", id, err)
	}
	l := Letter{
		ID: id, Kind: t.Kind, Entry: ParseID(t.Entry), Index: t.Index, DB: t.DB, Args: []string{t.Name},
		Error: t.Error, At: time.UnixMilli(t.At), Doubt: t.Doubt, Folded: t.Folded, Tries: t.Tries,
	}
	l.Args = append(l.Args, t.Args...)
	for _, b := range t.Bytes {
		l.Args = append(l.Args, string(b))
	}
	for _, d := range t.Due {
		if d[0] > 0 && d[0] < int64(len(l.Args)) {
			l.Deadlines = append(l.Deadlines, Deadline{Arg: int(d[0]), Ms: d[1]})
		}
	}
	return l, nil
}

// mark is how the position names a letter that was sent again: for the first, the second time.
func (l *Letter) mark() string { return fmt.Sprintf("%s#%d", l.ID, l.Tries) }

// letters collects what goes to local with one settle.
type letters struct {
	at        time.Time
	all       []Letter
	seen      map[string]int
	deadlines []any  // that changed with the batch
	behind    string // the position that the primary has still, though the transaction ran
}

// add makes a letter of a command. Its id is the command's place in the journal; what was merged or
// stands for several things there gets a number more.
func (ls *letters) add(l Letter) {
	l.At = ls.at
	if l.ID == "" {
		l.ID = fmt.Sprintf("%s.%d", l.Entry, l.Index)
		if ls.seen == nil {
			ls.seen = make(map[string]int)
		}
		n := ls.seen[l.ID]
		ls.seen[l.ID]++
		if n > 0 {
			l.ID = fmt.Sprintf("%s.%d", l.ID, n)
		}
	}
	ls.all = append(ls.all, l)
}

// failed makes letters of a command that the primary answered with an error inside a transaction.
// refused says that it is one of those that say nothing of the command. It reports an entry of a stream
// that needs another id.
func (ls *letters) failed(c *command, err error, refused bool) (renumbered bool) {
	if c.each > 0 && !refused {
		// Nothing of it ran. One by one, only what is wrong fails.
		for _, one := range c.apart() {
			ls.add(letterOf(&one, LetterRefused, err))
		}
		return false
	}
	l := letterOf(c, LetterError, err)
	if refused {
		l.Kind = LetterRefused
	}
	renumbered = l.renumber(err)
	ls.add(l)
	return renumbered
}

func letterOf(c *command, kind string, err error) Letter {
	l := Letter{Kind: kind, Entry: c.from.id, Index: c.from.index, DB: c.db, Args: c.args, Error: err.Error(), Folded: c.folds}
	if c.due > 0 {
		// The time left is another one when it is sent again.
		l.Args = []string{DeadlineName, c.args[1]}
		if c.args[0] == "set" {
			l.Args = c.args[:3]
		}
		l.Deadlines = []Deadline{{Arg: 1, Ms: c.due}}
	}
	return l
}

// renumber makes an XADD whose id is not after the last one of the stream an XADD that is sent again and
// given an id by the primary. Another program's entry there is enough for it.
func (l *Letter) renumber(err error) bool {
	if !strings.EqualFold(l.Args[0], "xadd") || !strings.Contains(err.Error(), "is equal or smaller than") {
		return false
	}
	i := idOfAdd(l.Args)
	if i < 0 {
		return false
	}
	l.Args = slices.Clone(l.Args)
	l.Args[i], l.Kind = "*", LetterRefused
	return true
}

// commands returns what is sent for a letter when local's clock says now.
func (l *Letter) commands(now int64, home string) []command {
	f := newFolder(now, home, Bounds{}, true, deadlines{}, &chains{})
	f.end = true
	f.add(&Entry{ID: l.Entry, Kind: KindWrite, DB: l.DB, Commands: [][]string{l.Args}, Deadlines: l.Deadlines})
	return f.finish()
}
