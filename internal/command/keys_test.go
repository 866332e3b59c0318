package command_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/command"
)

func TestAppendKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args  []any
		want  []int
		known bool
	}{
		{args("MGET a b c"), []int{1, 2, 3}, true},
		{args("mset a 1 b 2"), []int{1, 3}, true},
		{args("XGROUP CREATE k g $"), []int{2}, true},
		{args("ping"), nil, true},
		{args("publish c m"), nil, true},
		{[]any{"eval", "s", 2, []byte("a"), 7, "x"}, []int{3, 4}, true},
		{[]any{"zunionstore", "d", int64(2), "a", "b", "weights", 1, 2}, []int{1, 3, 4}, true},
		{[]any{"zunionstore", "d", uint8(2), "a", "b"}, nil, false}, // not how a number comes
		{[]any{"sort", []byte("k"), "by", []byte("w"), "STORE", []byte("d")}, []int{1, 5}, true},
		{[]any{"sort", "k", []byte("store"), "d"}, nil, false},
		{args("xreadgroup group g c streams a b > >"), []int{5, 6}, true},
		{[]any{"migrate", "h", 1, []byte("k"), 0, 1}, []int{3}, true},
		{args("georadius k 1 1 1 m store d storedist e"), []int{1, 9}, true}, // the last one counts
		{args("msetex 2 a 1 b 2 ex 10"), []int{2, 4}, true},
		{args("msetex 3 a 1 b 2"), nil, false},
		{args("json.mset a $ 1 b $ 2"), []int{1, 4}, true},
		{args("json.mget a b $"), []int{1, 2}, true},
		{args("ts.nrange 2 a b - +"), []int{2, 3}, true},
		{args("ft.search i q"), nil, false},
		{args("nosuchcommand k"), nil, false},
		{args("xgroup nosuch k"), nil, false},
		{args("get"), nil, false},
		{args("lmpop 5 a left"), nil, false},
		{nil, nil, false},
	} {
		got, known := command.AppendKeys([]int{9}, c.args)
		if known != c.known || !slices.Equal(got[1:], c.want) || got[0] != 9 {
			t.Errorf("%v: keys %v %v, want %v %v behind what was there", c.args, got, known, c.want, c.known)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for line, known := range map[string]bool{
		"GET k": true, "XGroup Create k g $": true, "xgroup": true, "xgroup nosuch": false, "nosuch": false,
		"command": true, "command docs": true, "a-name-that-is-far-too-long-for-a-command": false,
		"config a-name-that-is-far-too-long-for-a-subcommand": false, "json.debug memory k": true,
	} {
		if _, ok := command.Lookup(args(line)); ok != known {
			t.Errorf("%s: known %v, want %v", line, ok, known)
		}
	}
	info, _ := command.Lookup(args("blmove a b left right 0"))
	if !info.Write || !info.Blocking || !info.NoScript || info.NoMulti || info.Arity != 6 || info.Since != 602 || info.Group != "list" {
		t.Errorf("BLMOVE: %+v", info)
	}
	if command.ArityOK(args("nosuch")) || command.ArityOK(args("get")) || command.ArityOK(args("get a b")) || !command.ArityOK(args("get a")) {
		t.Error("GET has one argument, and no other number")
	}
}

func TestKeysDoNotAllocate(t *testing.T) {
	lines := [][]any{args("GET k"), args("mget a b c"), args("zunionstore d 2 a b"), args("xread streams a 0"), args("sort k store d")}
	buf := make([]int, 0, 8)
	n := testing.AllocsPerRun(100, func() {
		for _, a := range lines {
			command.AppendKeys(buf, a)
			command.Lookup(a)
			command.ArityOK(a)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAppendKeys(b *testing.B) {
	for _, line := range []string{"get k", "zunionstore d 2 a b", "sort k limit 0 10 store d"} {
		b.Run(line, func(b *testing.B) {
			b.ReportAllocs()
			a := args(line)
			buf := make([]int, 0, 8)
			for b.Loop() {
				command.AppendKeys(buf, a)
			}
		})
	}
}

// FuzzArguments wants every position to be that of an argument, whatever the arguments are.
func FuzzArguments(f *testing.F) {
	for _, line := range corpus() {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var a []any
		for i, word := range strings.Split(line, " ") {
			switch {
			case i > 0 && word == "1", i > 0 && word == "2", i > 0 && word == "3":
				a = append(a, int(word[0]-'0'))
			case i > 0 && strings.HasPrefix(word, "b:"):
				a = append(a, []byte(word))
			default:
				a = append(a, word)
			}
		}
		keys, known := command.AppendKeys(nil, a)
		for _, i := range keys {
			if !known || i < 1 || i >= len(a) {
				t.Errorf("key at %d of %q, known: %v", i, a, known)
			}
		}
		n := command.NoteOf(a)
		for _, at := range []int16{n.Key, n.Last, n.At, n.Timeout, n.Option} {
			if at < 0 || int(at) >= len(a) && len(a) > 0 {
				t.Errorf("%+v points behind %q", n, a)
			}
		}
		if n.Key > 0 && (n.Step < 1 || n.Last < n.Key) || n.Key == 0 && n.Last != 0 {
			t.Errorf("%+v of %q: no keys", n, a)
		}
	})
}
