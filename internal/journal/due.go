package journal

import (
	"strconv"
	"strings"

	table "github.com/redis-fallback/fallback/internal/command"
)

// dueAfterwards is what entries leave of deadlines, where it is not known with how much time more their
// keys were delivered: all of them are to be made good yet.
type dueAfterwards struct {
	home string
	at   map[place]int64 // 0: it has none any more
}

func (d *dueAfterwards) note(e *Entry) {
	db := e.DB
	if db == d.home {
		db = ""
	}
	for i, args := range e.Commands {
		if len(args) < 2 {
			continue
		}
		switch strings.ToLower(args[0]) {
		case "set", "persist", "getset":
			d.at[place{db, args[1]}] = 0
		case NameName: // it is written down once more, and its copy brings the deadline
			d.at[place{db, args[1]}] = 0
		case "del", "unlink":
			for _, key := range args[1:] {
				d.at[place{db, key}] = 0
			}
		case "mset":
			for j := 1; j < len(args); j += 2 {
				d.at[place{db, args[j]}] = 0
			}
		case "flushall", "flushdb":
			clear(d.at)
		default:
			// What changes a key in its place has told its deadline, or it has none.
			if code := noteOf(args); code == table.NoteDeadlines || code == table.NoteInteger {
				d.at[place{db, args[1]}] = 0
			}
		}
		for _, due := range e.Deadlines {
			if due.Command == i {
				d.at[place{db, args[due.Arg]}] = due.Ms
			}
		}
	}
}

func noteOf(args []string) byte {
	all := make([]any, len(args))
	for i, a := range args {
		all[i] = a
	}
	return table.NoteOf(all).Code
}

// changes is what local has to keep of it.
func (d *dueAfterwards) changes() (changes []any) {
	for at, ms := range d.at {
		text := ""
		if ms > 0 {
			text = strconv.FormatInt(ms, 10) + string(ample)
		}
		changes = append(changes, at.db+"|"+at.key, text)
	}
	return changes
}
