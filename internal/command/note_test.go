package command_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/command"
)

// noteText writes a Note as the tables below do: the code, its keys as from:to or from:to:step, "at",
// "timeout" and "option" with their positions, and the words for the rest.
func noteText(n command.Note) string {
	s := string(rune(n.Code))
	if n.Key != 0 {
		s += fmt.Sprintf(" %d", n.Key)
		if n.Last != n.Key {
			s += fmt.Sprintf(":%d", n.Last)
			if n.Step != 1 {
				s += fmt.Sprintf(":%d", n.Step)
			}
		}
	}
	for _, p := range []struct {
		word string
		at   int16
	}{{"at", n.At}, {"timeout", n.Timeout}, {"option", n.Option}} {
		if p.at != 0 {
			s += fmt.Sprintf(" %s=%d", p.word, p.at)
		}
	}
	s += [...]string{"", " filled", " nil", " positive"}[n.When]
	for i, word := range [...]string{
		"tail", "totail", "keyed", "ms", "expires", "keepttl", "get", "nx", "xx", "persist", "noack", "justid", "seconds", "relative",
	} {
		if n.Opts.Has(1 << i) {
			s += " " + word
		}
	}
	return s
}

func TestNotes(t *testing.T) {
	t.Parallel()
	for row := range strings.Lines(noteRows) {
		i := strings.LastIndex(row, "> ")
		if i < 0 {
			continue
		}
		line, want := strings.TrimSpace(row[:i]), strings.TrimSpace(row[i+2:])
		if got := noteText(command.NoteOf(args(line))); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// TestEveryWriteHasANote wants a row above for each write of redis-server 7.0, and none that is M
// without a reason.
func TestEveryWriteHasANote(t *testing.T) {
	t.Parallel()
	tried, multi := map[string]bool{}, map[string]bool{}
	for row := range strings.Lines(noteRows) {
		i := strings.LastIndex(row, "> ")
		if i < 0 {
			continue
		}
		if name := nameOf(row[:i]); strings.TrimSpace(row[i+2:]) == "M" {
			multi[name] = true
		} else {
			tried[name] = true
		}
	}
	for _, name := range command.Names() {
		info, _ := command.Lookup(args(name))
		if !info.Write || info.Since > 700 {
			continue
		}
		switch reason := multiOnly[name]; {
		case !tried[name] && !multi[name]:
			t.Errorf("%s writes, and no row says how that is written down", name)
		case !tried[name] && reason == "":
			t.Errorf("%s is always M, and nothing says why", name)
		case tried[name] && reason != "":
			t.Errorf("%s is not always M, and something says why it is", name)
		}
	}
}

// multiOnly are the writes of redis-server 7.0 that are always NoteMulti, with the reason.
var multiOnly = map[string]string{
	"eval":             "may not stand in a script",
	"evalsha":          "may not stand in a script",
	"fcall":            "may not stand in a script",
	"function delete":  "may not stand in a script",
	"function flush":   "may not stand in a script",
	"function restore": "may not stand in a script",
	"migrate":          "moves keys to a third server",
	"swapdb":           "no key of either database is what it was",
	"pfdebug":          "for who works on Redis itself",
	"restore-asking":   "what a cluster's nodes send each other",
}

func TestNoteOfOtherTypes(t *testing.T) {
	t.Parallel()
	long := []any{"sadd", "k"}
	for range command.MaxArgs {
		long = append(long, 1)
	}
	for _, c := range []struct {
		args []any
		want string
	}{
		{nil, "M"},
		{[]any{7}, "M"},
		{[]any{[]byte("set"), "k", "v"}, "M"},
		{[]any{"set", []byte("k"), 7.5}, "v 1 at=2"},
		{[]any{"set", "k", 1, "ex", 10}, "s 1 at=2 expires"},
		{[]any{"set", "k", 1, []byte("ex"), 10}, "M"},
		{[]any{"zadd", "k", 1.5, "m"}, "d 1"},
		{[]any{"zadd", "k", []byte("incr"), 1.5, "m"}, "M"},
		{[]any{"xadd", "k", 5, "f", "v"}, "a 1 at=2 filled"},
		{[]any{"xadd", "k", []byte("*"), "f", "v"}, "M"},
		{[]any{"xadd", "k", "maxlen", "~", int64(5), "limit", 2, "*", "f", "v"}, "a 1 at=7 filled"},
		{[]any{"lmpop", 2, "a", "b", "left"}, "l 2:3 filled keyed"},
		{[]any{"sort", "k", "limit", 0, 1, "store", "d"}, "d 6"},
		{[]any{"sort", "k", []byte("store"), "d"}, "M"},
		{[]any{"bitfield", "k", []byte("set"), "u8", 0, 1}, "M"},
		{[]any{"xgroup", []byte("create"), "k", "g", "$"}, "M"},
		{long, "M"},
		{long[:command.MaxArgs], "d 1"},
		{append([]any{"mget"}, long...), "n"},
	} {
		if got := noteText(command.NoteOf(c.args)); got != c.want {
			t.Errorf("%.100v: %s, want %s", c.args, got, c.want)
		}
	}
}

func TestNoteOfDoesNotAllocate(t *testing.T) {
	lines := [][]any{
		args("get k"), args("SET k v EX 10"), args("hset k f v"), args("xadd k maxlen ~ 1 * f v"), args("sort k store d"),
		args("xreadgroup group g c streams k >"), args("XGROUP CREATE k g $"), args("nosuch k"),
	}
	n := testing.AllocsPerRun(100, func() {
		for _, a := range lines {
			command.NoteOf(a)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkNoteOf(b *testing.B) {
	for _, line := range []string{"get k", "set k v", "SET k v EX 10", "hset k f v", "xadd k * f v", "xgroup create k g $", "nosuch k"} {
		b.Run(line, func(b *testing.B) {
			b.ReportAllocs()
			a := args(line)
			for b.Loop() {
				command.NoteOf(a)
			}
		})
	}
}
