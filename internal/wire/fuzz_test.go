package wire_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/wire"
)

// command writes a command as a client does.
func command(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

// split cuts b into pieces of n bytes.
func split(b []byte, n uint8) [][]byte { return slices.Collect(slices.Chunk(b, int(n)+1)) }

// odd are bytes that no server and no client of good will sends.
var odd = []string{
	"", "\n", "*", "*\r\n", "$", "$-5\r\n", "$9223372036854775807\r\n", "*9223372036854775807\r\n", "%-1\r\n",
	"*1\r\n$9223372036854775807\r\n", "*2\n$3\nabc\n$9223372036854775807\r\n", "*0\r\n*-1\r\n_\r\n", "|1\r\n+a\r\n", "PING\r\n",
	"*2\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n", ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\n\r\n*\r\n", "*1\r\n$100\r\n", "*1\r\n$5\r\nwatch\r\n",
}

// FuzzReplyLen: where a reply ends does not depend on what is behind it, nor on how much is there.
func FuzzReplyLen(f *testing.F) {
	for _, s := range append(odd, ":1\r\n+OK\r\n", "%1\r\n+a\r\n*2\r\n:1\r\n$1\r\nb\r\n") {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := wire.ReplyLen(b)
		if n < 0 || n > len(b) {
			t.Fatalf("%d of %d bytes", n, len(b))
		}
		for k := range len(b) {
			if got := wire.ReplyLen(b[:k]); got != 0 && got != n || n > 0 && k >= n && got == 0 {
				t.Fatalf("%q: %d bytes of it end at %d, all at %d", b, k, got, n)
			}
		}
	})
}

// FuzzSplitter: what goes in comes out, however it was cut.
func FuzzSplitter(f *testing.F) {
	for i, s := range odd {
		f.Add([]byte(s), "subscribe", s, uint8(i))
	}
	f.Fuzz(func(t *testing.T, junk []byte, name, arg string, n uint8) {
		good := command(name, arg)
		in := append([]byte(good+good), junk...)
		var s wire.Splitter
		var out []byte
		commands := 0
		for _, piece := range split(in, n) {
			s.Add(piece)
			for {
				args, raw, ok := s.Next()
				if !ok {
					break
				}
				if commands++; commands <= 2 && (len(args) != 2 || string(args[0]) != name || string(args[1]) != arg || string(raw) != good) {
					t.Fatalf("%q came out as %q", good, args)
				}
				out = append(out, raw...)
			}
		}
		if commands < 2 || !bytes.HasPrefix(in, out) {
			t.Fatalf("%q came out as %q", in, out)
		}
	})
}

// FuzzElements: every element is a piece of the frame.
func FuzzElements(f *testing.F) {
	for _, s := range odd {
		f.Add([]byte(s), s)
	}
	f.Fuzz(func(t *testing.T, b []byte, arg string) {
		for _, e := range wire.Elements(b) {
			if !bytes.Contains(b, e) {
				t.Fatalf("%q is not in %q", e, b)
			}
		}
		frame := ">2" + command("message", arg)[2:]
		if got := wire.Elements([]byte(frame)); len(got) != 2 || string(got[0]) != "message" || string(got[1]) != arg {
			t.Fatalf("%q has the elements %q", frame, got)
		}
	})
}

// FuzzRequestName: the first argument of a command that is all there, and a piece of what is not.
func FuzzRequestName(f *testing.F) {
	for _, s := range odd {
		f.Add([]byte(s), s)
	}
	f.Add([]byte(command("watch", "k")), "WATCH")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		if got := wire.RequestName(b); got != nil && (b[0] != '*' || !bytes.Contains(b, got)) {
			t.Fatalf("%q is called %q", b, got)
		}
		if got := wire.RequestName([]byte(command(name, "k"))); len(name) > 0 && len(name) < 100 && string(got) != name {
			t.Fatalf("%q is called %q", name, got)
		}
	})
}

// FuzzRequest: the parser counts the same however a request is cut, and stops at EXEC.
func FuzzRequest(f *testing.F) {
	for i, s := range odd {
		f.Add([]byte(s), s, uint8(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, arg string, n uint8) {
		commands, ended := wire.Request(b)
		if c, e := wire.Request(split(b, n)...); c != commands || e != ended {
			t.Fatalf("%q: %d commands, ended %v; in pieces %d, %v", b, commands, ended, c, e)
		}
		good := multi + command("set", arg, arg) + command("exec", "discard") + command("eXec") + string(b)
		if c, e := wire.Request(split([]byte(good), n)...); c != 4 || !e {
			t.Fatalf("%q: %d commands, ended %v", good, c, e)
		}
	})
}
