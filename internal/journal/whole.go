package journal

import (
	"strconv"
	"strings"

	table "github.com/redis-fallback/fallback/internal/command"
)

// What a command does to its keys, for a journal that keeps names: a key that local holds whole, whatever
// the primary had, is delivered as it is in the end.
const (
	keysMade   = 'M' // it makes its keys whole: what was there before does not matter
	keysOf     = 'D' // the first one is made out of the others, and is whole if they are
	keysNeeded = 'N' // what comes of its keys depends on what they were
	keysFlush  = 'F' // none is left
	keysRead   = 'R' // it writes nothing
	keysOther  = 'X' // it cannot be told: it is refused
)

// keys tells the script what commands do to which of their keys. RPUSH to an absent key is none of those
// that make it whole, whatever its reply: local is cold, and the primary may have the rest of the list.
func keys(cmds []Noted) string {
	var b strings.Builder
	var places []int
	for i := range cmds {
		var what byte
		what, places = cmds[i].keys(places[:0])
		b.WriteByte(what)
		for j, at := range places {
			if j > 0 {
				b.WriteByte('.')
			}
			b.WriteString(strconv.Itoa(at))
		}
		b.WriteByte(',')
	}
	return b.String()
}

func (c *Noted) keys(places []int) (byte, []int) {
	n := &c.Note
	name := strings.ToLower(table.Name(c.Args))
	what := byte(keysNeeded)
	switch n.Code {
	case table.NoteNothing, NoteRead:
		return keysRead, places
	case table.NoteFlushAll:
		return keysFlush, places
	case table.NoteMulti:
		return keysOther, places
	case table.NoteMSet, table.NoteDel, table.NoteRestore:
		what = keysMade
	case table.NoteSet:
		if !n.Opts.Has(table.KeepTTL) {
			what = keysMade
		}
	}
	to := 0
	switch name {
	case "flushdb":
		return keysFlush, places
	case "set", "del", "unlink", "mset":
		if n.Code == table.NoteVerbatim {
			what = keysMade
		}
	case "rename", "renamenx", "copy", "bitop":
		to = 2
	case "sinterstore", "sunionstore", "sdiffstore", "zinterstore", "zunionstore", "zdiffstore", "zrangestore", "geosearchstore":
		to = 1
	case "sort", "georadius", "georadiusbymember", "move", "migrate":
		return keysOther, places
	}
	if name == "copy" && n.Option > 0 { // to another database
		return keysOther, places
	}
	if to > 0 {
		what = keysOf
		places = append(places, to)
	}
	all, ok := table.AppendKeys(nil, c.Args)
	if !ok || len(all) == 0 {
		return keysOther, places[:0]
	}
	for _, at := range all {
		if at != to {
			places = append(places, at)
		}
	}
	return what, places
}
