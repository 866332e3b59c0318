package command_test

import (
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/command"
)

// alsoRead are in class Read, although the server does not call them read only: it keeps that word for
// commands that look at keys.
const alsoRead = `command command|count command|docs command|getkeys command|getkeysandflags command|help command|info
	command|list config|get config|help echo function|dump function|help function|list function|stats info lastsave
	memory|doctor memory|help memory|malloc-stats memory|stats object|help ping pubsub|channels pubsub|help pubsub|numpat
	pubsub|numsub pubsub|shardchannels pubsub|shardnumsub role script|exists script|help time wait waitaof xinfo|help`

// unread are not in class Read, although they are read only, with the reason.
var unread = map[string]string{
	"bf.scandump":       "goes on where an earlier call on the same server ended",
	"cf.scandump":       "goes on where an earlier call on the same server ended",
	"ft.cursor read":    "what it has read is not read again",
	"ft.cursor del":     "the second time there is none",
	"json.debug memory": "not worth a row",
	"json.debug help":   "not worth a row",
}

// classless are neither writes nor in any class: never sent twice, and never thought to read.
var classless = map[string]string{
	"publish":     "subscribers would hear it twice",
	"spublish":    "subscribers would hear it twice",
	"xgroup help": "not worth a row",
}

func TestClassesAsTheTableSays(t *testing.T) {
	t.Parallel()
	also := map[string]bool{}
	for name := range strings.FieldsSeq(alsoRead) {
		also[strings.ReplaceAll(name, "|", " ")] = true
	}
	for _, name := range command.Names() {
		info, _ := command.Lookup(args(name))
		class := command.Of(args(name))
		if info.Container && !also[name] {
			continue // its subcommands say more
		}
		reads := info.ReadOnly && unread[name] == "" || also[name]
		if class.Has(command.Read) != reads {
			t.Errorf("%s: class %b, and the table says read only: %v", name, class, info.ReadOnly)
		}
		if none := class == 0 && !info.Write; none != (classless[name] != "" || info.ReadOnly && !reads) {
			t.Errorf("%s: class %b, and it is no write: %v", name, class, !info.Write)
		}
		if class.Has(command.Blocking) != info.Blocking {
			t.Errorf("%s: class %b, and the table says blocking: %v", name, class, info.Blocking)
		}
		if class.Any(command.Deletes|command.Blind|command.Judged) && !info.Write && name != "script load" {
			t.Errorf("%s: class %b, and is no write", name, class)
		}
	}
	for name := range command.Classes() {
		if _, ok := command.Lookup(args(name)); !ok {
			t.Errorf("%s has a class, and is not in the table", name)
		}
	}
}

// TestDeletesIsNoAddition has every write in class Deletes written down as one that takes away.
func TestDeletesIsNoAddition(t *testing.T) {
	t.Parallel()
	for name, class := range command.Classes() {
		if !class.Has(command.Deletes) {
			continue
		}
		for _, line := range corpus() {
			if nameOf(line) != name {
				continue
			}
			switch code := command.NoteOf(args(line)).Code; code {
			case command.NoteVerbatim, command.NoteDel, command.NoteSetPop, command.NoteListPop, command.NoteSortedPop,
				command.NoteFlushAll, command.NoteMulti:
			case command.NoteDeadlines: // of a stream, which stays when it is empty
				if name != "xdel" && name != "xtrim" {
					t.Errorf("%s only deletes, and its Note is %c", line, code)
				}
			default:
				t.Errorf("%s only deletes, and its Note is %c", line, code)
			}
		}
	}
}

// TestMayRunInAScript has no command in a script that may not stand there, but those that wait, in
// whose place the script runs one that does not.
func TestMayRunInAScript(t *testing.T) {
	t.Parallel()
	for _, line := range corpus() {
		info, ok := command.Lookup(args(line))
		switch code := command.NoteOf(args(line)).Code; {
		case code == command.NoteMulti, code == command.NoteNothing:
		case !ok, info.NoScript && !info.Blocking, info.NoMulti:
			t.Errorf("%s: its Note is %c, and it may not stand in a script", line, code)
		}
	}
}
