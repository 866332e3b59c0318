package journal

import (
	"context"
	"slices"
	"strconv"
	"strings"

	table "github.com/redis-fallback/fallback/internal/command"
)

// Mirrored says that local is kept warm, with the user's keys in the home database: a key that is there is
// then whole. What a write on local begins and does not wholly make is noted, in the set PartialKey, so that it
// goes once the primary, which may have the rest of it, serves again. It is called before the store is used.
func (s *Store) Mirrored(home int) {
	s.mirrored, s.home = true, home
	s.scripts = s.newScripts()
}

// PartialKey is the set of the keys, "database|key" with no number for the home database, that local may
// hold otherwise than the primary after a return.
func (s *Store) PartialKey() string { return s.partial() }

// mixed are commands that make a key out of others, of which local may lack some. XTRIM is one since how far
// it trims with ~ depends on how the stream lies in memory.
var mixed = strings.Fields(`sinterstore sunionstore sdiffstore zinterstore zunionstore zdiffstore zrangestore
	geosearchstore georadius georadiusbymember sort bitop pfmerge copy rename renamenx xtrim`)

// mixes reports a command that the short scripts do not look closely enough at.
func mixes(args []any) bool {
	name := table.Name(args)
	if len(name) < 4 {
		return false
	}
	switch name[0] | 0x20 {
	case 's', 'z', 'g', 'b', 'p', 'c', 'r', 'x':
		return slices.ContainsFunc(mixed, func(m string) bool { return table.Is(args, m) })
	}
	return false
}

// mostTouched bounds the arguments of a command of which it is not known which are keys.
const mostTouched = 64

// touched tells the script which keys commands may have written that have run already: in the form of keys.
func touched(cmds []Noted) string {
	var b strings.Builder
	var places []int
	for i := range cmds {
		args := cmds[i].Args
		places = places[:0]
		if cmds[i].Note.Code != table.NoteNothing && cmds[i].Note.Code != NoteRead {
			var ok bool
			if places, ok = table.AppendKeys(places, args); !ok {
				for at := 1; at < min(len(args), mostTouched); at++ {
					places = append(places, at)
				}
			}
		}
		b.WriteByte('P')
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

// unlike notes keys that the primary comes to hold otherwise than local. That is before it does, so that
// they are noted whatever ends in between.
func (s *Store) unlike(ctx context.Context, keys []place) error {
	if !s.mirrored || len(keys) == 0 {
		return nil
	}
	names := make([]any, len(keys))
	for i, at := range keys {
		names[i] = at.db + "|" + at.key
	}
	return s.rdb.SAdd(ctx, s.partial(), names...).Err()
}

// keys returns the keys of the letters: local has what the primary has not, or may not have.
func (ls *letters) keys() []place {
	if ls == nil {
		return nil
	}
	var all []place
	for i := range ls.all {
		l := &ls.all[i]
		args := make([]any, len(l.Args))
		for j := range args {
			args[j] = l.Args[j]
		}
		places, ok := table.AppendKeys(nil, args)
		if !ok && len(args) > 1 {
			places = []int{1} // of our own commands the key stands there, as of nearly all others
		}
		for _, at := range places {
			all = append(all, place{l.DB, l.Args[at]})
		}
	}
	return all
}
