package command

//go:generate go run ./internal/gen

// Info is what a server tells of a command, or the public documentation where the command is newer
// than the server that was asked. Subcommands have an Info of their own.
type Info struct {
	Group string // as in the documentation: "hash", "stream"
	Since uint16 // the first version that has it, major times 100 plus minor: 704. 800 for modules
	// Arity is the number of arguments with the name; -n is n or more.
	Arity int8
	// First, Last and Step tell where keys stand, counted from the name, which is 0. Last counts
	// from the end where it is negative: -1 is the last argument. First is 0 if there is no such key.
	First, Last, Step int8
	// NumKeys is where the number of keys stands that follow it at once, 0 if there is none.
	NumKeys int8

	Write     bool // may change data; so may what is not known
	ReadOnly  bool // never changes data. Neither is true of PING and the like
	Blocking  bool // may wait
	NoScript  bool // may not stand in a script
	NoMulti   bool // may not stand in MULTI
	Movable   bool // First, Last and Step do not tell all keys
	Container bool // has subcommands, and is none of them
	Anywhere  bool // which keys it touches, its arguments do not say
	Module    bool // belongs to a module of Redis before 8.0
}

// row is all that the table has of one command.
type row struct {
	Info
	keys  finder
	note  Note
	judge judgement
}

// entry is one line of the generated part. A subcommand's name has its command's before it.
type entry struct {
	name string
	Info
}

var known = knit()

// Lookup returns what is known of a command or subcommand, and false for one that is not known: a
// write, not harmless twice, with keys nobody can tell.
func Lookup(args []any) (Info, bool) {
	r := find(args)
	if r == nil {
		return Info{}, false
	}
	return r.Info, true
}

// ArityOK reports whether a known command has as many arguments as it may. A server refuses it
// otherwise.
func ArityOK(args []any) bool {
	r := find(args)
	return r != nil && r.fits(len(args))
}

func (i *Info) fits(n int) bool {
	if i.Arity < 0 {
		return n >= -int(i.Arity)
	}
	return n == int(i.Arity)
}

func find(args []any) *row {
	name := Name(args)
	r, ok := known[name]
	var low [2*longestName + 1]byte
	if !ok {
		n, fits := lower(low[:longestName], name)
		if !fits {
			return nil
		}
		if r, ok = known[string(low[:n])]; !ok {
			return nil
		}
	}
	if !r.Container || len(args) == 1 {
		return r
	}
	n, _ := lower(low[:longestName], name)
	low[n] = ' '
	m, fits := lower(low[n+1:], textOf(args[1]))
	if !fits {
		return nil
	}
	return known[string(low[:n+1+m])]
}

// knit puts the generated part and the exceptions together.
func knit() map[string]*row {
	rows := make([]row, len(generated))
	m := make(map[string]*row, len(generated))
	for i := range generated {
		g := &generated[i]
		rows[i] = row{Info: g.Info, keys: finders[g.name]}
		if mend := mended[g.name]; mend != nil {
			mend(&rows[i].Info)
		}
		m[g.name] = &rows[i]
	}
	addNotes(m)
	return m
}

// mended says otherwise than the server of the generated part, by hand.
var mended = map[string]func(*Info){
	// What they do, only they know. The server calls them neither a write nor a read.
	"eval":    func(i *Info) { i.Write = true },
	"evalsha": func(i *Info) { i.Write = true },
	"fcall":   func(i *Info) { i.Write = true },
	// Redis 7.0 does not say that it waits, 7.2 does.
	"wait": func(i *Info) { i.Blocking = true },
}
