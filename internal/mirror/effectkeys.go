package mirror

import (
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/command"
)

// EveryDB stands for a database in an operation on all of them but ours: Unsure means that nothing on
// local is known any more, Flush that the keys of all databases are gone.
const EveryDB = "*"

// maxGuesses bounds the arguments of a command that is not known which are taken for keys. With more
// of them it may write any key.
const maxGuesses = 64

// Keys appends to dst the positions among the arguments of all keys that a command may write, the name
// being 0. Position 0 says that it may write any key of any database: FLUSHDB, SWAPDB and what nobody
// can tell. What only reads has none. Of a command that is not known every argument may be a key; of a
// script those that it was given.
//
// The keys lie in the database that is selected. Where Elsewhere finds another one, they may lie there
// as well.
func Keys(dst []int, args []any) []int {
	n := command.NoteOf(args)
	switch {
	case n.Code == command.NoteNothing:
		return dst
	case n.Code == command.NoteMulti:
		return named(dst, args)
	case n.Key == 0: // FLUSHDB, FLUSHALL
		return append(dst, 0)
	}
	if at := otherKey(args, n); at > 0 {
		dst = append(dst, at)
	}
	for i := int(n.Key); i <= int(n.Last); i += int(n.Step) {
		dst = append(dst, i)
	}
	return dst
}

// otherKey returns the position of a key that a command writes and its Note does not name, else 0.
func otherKey(args []any, n command.Note) int {
	switch {
	case n.Code == command.NoteRename, n.Code == command.NoteDeadlines && n.Key == 2 && command.Is(args, "rename"):
		return 1 // the old name is gone
	case n.Code == command.NoteVerbatim && command.Is(args, "ts.deleterule"):
		return 2
	}
	return 0
}

// named is Keys of a command that has no Note.
func named(dst []int, args []any) []int {
	info, known := command.Lookup(args)
	switch {
	case len(args) == 0, !known && command.Of(args).Has(command.Read):
		return dst
	case known && info.Anywhere: // an index or a dictionary, which are no keys; DD drops what is indexed
		if command.Is(args, "ft.dropindex") && len(args) > 2 {
			return append(dst, 0)
		}
		return dst
	case command.Is(args, "swapdb"):
		return append(dst, 0)
	}
	// Appending to dst there would move it to the heap in every caller.
	if keys, ok := command.AppendKeys(nil, args); ok {
		return append(dst, keys...)
	}
	if len(args) > maxGuesses+1 {
		return append(dst, 0)
	}
	for i, v := range args[1:] {
		if mayBeKey(v) {
			dst = append(dst, i+1)
		}
	}
	return dst
}

// mayBeKey reports whether anybody would call a key like that.
func mayBeKey(v any) bool {
	switch v.(type) {
	case nil, bool, float32, float64, time.Time, time.Duration:
		return false
	}
	return true
}

// Elsewhere returns the position of the argument that has the number of a further database in which a
// command writes its keys, of COPY and MOVE, else 0.
func Elsewhere(args []any) int {
	if n := command.NoteOf(args); n.Code == command.NoteDeadlines || n.Code == command.NoteVerbatim {
		return int(n.Option)
	}
	return 0
}

// Unsure adds that nothing is known any more of the keys that a command may have written.
func (o *Ops) Unsure(db string, cmd redis.Cmder) { o.unsure(db, cmd.Args()) }

func (o *Ops) unsure(db string, args []any) {
	var room [maxGuesses]int
	keys := Keys(room[:0], args)
	for _, i := range keys {
		if i == 0 {
			o.Add(Unsure, EveryDB, "")
			return
		}
		o.Add(Unsure, db, args[i])
	}
	at := Elsewhere(args)
	if at == 0 {
		return
	}
	other := string(AppendArg(nil, args[at]))
	for _, i := range keys {
		o.Add(Unsure, other, args[i])
		if db != "" { // the home database is the number of one, too
			o.Add(Unsure, "", args[i])
		}
	}
}
