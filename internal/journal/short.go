package journal

import (
	"strconv"
	"strings"

	table "github.com/redis-fallback/fallback/internal/command"
)

// Most writes are written down as they were given, or their beginning is. For these there are short
// scripts: what the long one costs before it has done anything is as much as a SET.

// short returns the arguments of a call of a short script, nil where it takes the long one.
func (s *Store) short(w Write, cmds []Noted) []any {
	switch {
	case w.Noting || w.Keys || Mutate.NoFence:
		return nil
	case w.Many:
		return s.several(w, cmds)
	case len(cmds) == 1:
		return s.one(w, &cmds[0])
	}
	return nil
}

// one is a call of lua/one.lua.
func (s *Store) one(w Write, c *Noted) []any {
	if s.mirrored && mixes(c.Args) {
		return nil
	}
	how, noted := "", len(c.Args) // arguments that are written down
	switch n := c.Note; n.Code {
	case table.NoteVerbatim, table.NoteDeadlines:
		if n.When != table.Always || n.Option > 0 || n.Code == table.NoteDeadlines && n.Key != n.Last {
			return nil
		}
		if name := table.Name(c.Args); w.RESP3 && name != "" && (name[0] == 'z' || name[0] == 'Z') {
			how = "3" // it may answer with a number that is none in RESP2
		}
	case table.NoteInteger:
		how = "g"
		if len(c.Args) == 4 {
			how = "h"
		}
	case table.NoteSet: // SET key value, and options behind it
		if n.Key != 1 || n.At != 2 || n.When != table.Always && n.When != table.IfNotNil ||
			n.Opts.Has(table.Get) || n.Opts.Has(table.KeepTTL) || !table.Is(c.Args, "set") {
			return nil
		}
		how, noted = "n", 3
	default:
		return nil
	}
	key := "0"
	if c.Note.Code == table.NoteInteger || c.Note.Code == table.NoteDeadlines ||
		c.Note.Code == table.NoteSet && c.Note.Opts.Has(table.Expires) {
		key = strconv.Itoa(int(c.Note.Key))
	}
	var head [48]byte
	header := append(head[:0], byte(w.Kind), '|')
	header = append(append(header, w.Label...), '|')
	header = append(strconv.AppendInt(header, int64(noted), 10), '|')
	args := make([]any, 0, len(c.Args)+11)
	args = append(args, "evalsha", s.scripts.one.hash, 0, w.Fence, w.DB, string(header), key, how)
	// Places count from the first of ARGV, and the arguments begin at the eighth.
	last, pad := 7+noted, 0
	if noted == len(c.Args) && noted%2 == 0 {
		pad = 1
		last++
	}
	args = append(append(args, last, pad), c.Args...)
	if pad > 0 {
		args = append(args, "")
	}
	return args
}

// several is a call of lua/several.lua.
func (s *Store) several(w Write, cmds []Noted) []any {
	total := 0
	for i := range cmds {
		n := &cmds[i].Note
		switch n.Code {
		case table.NoteVerbatim, table.NoteDeadlines, table.NoteInteger:
		default:
			return nil
		}
		if n.When != table.Always || n.Option > 0 || n.Code == table.NoteDeadlines && n.Key != n.Last || s.mirrored && mixes(cmds[i].Args) {
			return nil
		}
		if name := table.Name(cmds[i].Args); w.RESP3 && (name == "" || name[0] == 'z' || name[0] == 'Z') {
			return nil
		}
		total += len(cmds[i].Args)
	}
	var header, plan strings.Builder
	header.WriteByte(byte(w.Kind))
	header.WriteString("|" + w.Label + "|")
	for i := 0; i < len(cmds); {
		c := &cmds[i]
		n := 1
		for i+n < len(cmds) && cmds[i+n].Note == c.Note && len(cmds[i+n].Args) == len(c.Args) {
			n++
		}
		count := strconv.Itoa(len(c.Args))
		for j := range n {
			if i+j > 0 {
				header.WriteByte(',')
			}
			header.WriteString(count)
		}
		key, whole := 0, ":0"
		if c.Note.Code != table.NoteVerbatim {
			key = int(c.Note.Key)
		}
		if c.Note.Code == table.NoteInteger {
			whole = ":1"
		}
		plan.WriteString(strconv.Itoa(n) + "x" + count + ":" + strconv.Itoa(key) + whole + ",")
		i += n
	}
	header.WriteByte('|')
	args := make([]any, 0, total+10)
	args = append(args, "evalsha", s.scripts.several.hash, 0, w.Fence, w.DB, header.String(), plan.String())
	pad := total%2 == 0
	if pad {
		args = append(args, 1)
	} else {
		args = append(args, 0)
	}
	for i := range cmds {
		args = append(args, cmds[i].Args...)
	}
	if pad {
		args = append(args, "")
	}
	return args
}
