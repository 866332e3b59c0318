package reread_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/reread"
	"github.com/redis/go-redis/v9"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	replies := []string{
		"+OK\r\n", "-ERR no\r\n", ":-1\r\n", "$0\r\n\r\n", "$4\r\na\r\nb\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n",
		"*2\r\n:1\r\n*1\r\n$-1\r\n", "_\r\n", ",1.5\r\n", ",inf\r\n", "#t\r\n", "(12345678901234567890\r\n",
		"=6\r\ntxt:ab\r\n", "!5\r\nERR x\r\n", "%1\r\n+k\r\n*1\r\n:1\r\n", "~2\r\n:1\r\n:2\r\n", "%0\r\n",
		"|1\r\n+ttl\r\n:3\r\n$1\r\nv\r\n",
		strings.Repeat("*1\r\n", 900) + "+deep\r\n", "+\r\n",
	}
	got, err := reread.Split([]byte(fmt.Sprintf("*%d\r\n", len(replies)) + strings.Join(replies, "")))
	if err != nil || len(got) != len(replies) {
		t.Fatalf("%d replies, %v, want %d", len(got), err, len(replies))
	}
	for i, want := range replies {
		if string(got[i]) != want {
			t.Errorf("reply %d is %.60q, want %.60q", i, got[i], want)
		}
	}
}

// Whatever the bytes are, what Split returns is all of them, and each reply can be read alone.
func FuzzSplit(f *testing.F) {
	for _, raw := range []string{
		"*2\r\n+OK\r\n$1\r\nv\r\n", "*1\r\n%1\r\n+k\r\n*2\r\n_\r\n#t\r\n", "*1\r\n|1\r\n+a\r\n:1\r\n~1\r\n,1\r\n",
		"*3\r\n$-1\r\n*-1\r\n!5\r\nERR x\r\n", "*1\r\n=6\r\ntxt:ab\r\n", "*1\r\n(1\r\n", "*999999999\r\n", "*1\r\n-E\r\n",
	} {
		f.Add([]byte(raw))
	}
	var r reread.Reader
	f.Fuzz(func(t *testing.T, raw []byte) {
		replies, err := reread.Split(raw)
		cmds := make([]redis.Cmder, len(replies))
		raws := make([]*redis.RawCmd, len(replies))
		for i := range cmds {
			raws[i] = redis.NewRawCmd(t.Context(), "get", "k")
			cmds[i] = raws[i]
		}
		if err != nil {
			if !errors.Is(err, reread.ErrReply) || replies != nil {
				t.Fatalf("%q, %v", replies, err)
			}
			if err := r.Answer(raw, cmds); !errors.Is(err, reread.ErrReply) {
				t.Fatalf("Answer took what Split refused: %v", err)
			}
			return
		}
		end := bytes.IndexByte(raw, '\n') + 1
		if joined := bytes.Join(replies, nil); !bytes.Equal(joined, raw[end:]) {
			t.Fatalf("%q was split into %q", raw, replies)
		}
		if err := r.Answer(raw, cmds); err != nil {
			t.Fatalf("Answer refused what Split took: %v", err)
		}
		if err := r.AnswerEach(replies, cmds); err != nil {
			t.Fatalf("AnswerEach refused what Split took: %v", err)
		}
		for i, cmd := range raws {
			if cmd.Err() != nil {
				t.Fatalf("go-redis cannot read %q: %v", replies[i], cmd.Err())
			}
			if !bytes.Equal(cmd.Val(), replies[i]) {
				t.Fatalf("reply %d is read as %q, want %q", i, cmd.Val(), replies[i])
			}
		}
	})
}
