package mirror_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/mirror"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"get k":                                "[]",
		"eval_ro s 1 k":                        "[]",
		"set k v":                              "[1]",
		"SET k v EX 10":                        "[1]",
		"set k v ifeq o":                       "[1]",
		"del a b c":                            "[1 2 3]",
		"mset a 1 b 2":                         "[1 3]",
		"msetex 2 a 1 b 2 ex 9":                "[2 4]",
		"rename a b":                           "[1 2]",
		"RENAMENX a b":                         "[1 2]",
		"copy a b":                             "[2]",
		"copy a b db 3":                        "[2]",
		"move k 3":                             "[1]",
		"lmove a b left right":                 "[1 2]",
		"blmpop 0 2 a b left":                  "[3 4]",
		"smove a b m":                          "[1 2]",
		"sort k":                               "[]",
		"sort k limit 0 1 store d":             "[6]",
		"bitfield k get u8 0":                  "[]",
		"bitfield k set u8 0 1":                "[1]",
		"xreadgroup group g c streams a b > >": "[5 6]",
		"xread streams a 0":                    "[]",
		"xgroup create k g $":                  "[2]",
		"ts.deleterule a b":                    "[2 1]",
		"eval s 2 a b c":                       "[3 4]",
		"evalsha s 0 a":                        "[]",
		"fcall f 1 a":                          "[3]",
		"migrate h 1 k 0 9":                    "[3]",
		"flushdb":                              "[0]",
		"flushall":                             "[0]",
		"swapdb 0 1":                           "[0]",
		"ft.create i schema f text":            "[]",
		"ft.dropindex i":                       "[]",
		"ft.dropindex i dd":                    "[0]",
		"function delete l":                    "[]",
		"multi":                                "[]",
		"nosuch a b":                           "[1 2]",
		"nosuch":                               "[]",
		"nosuch" + strings.Repeat(" a", 65):    "[0]",
		"set k" + strings.Repeat(" v", 5):      "[1]",
		"sadd k" + strings.Repeat(" m", 5000):  "[1]",
		"zmpop x a min":                        "[1 2 3]",
		"config set maxmemory 5":               "[]",
		"himport set k fields f":               "[2]",
		"georadius k 1 1 1 m storedist d":      "[7]",
		"zunionstore d 2 a b":                  "[1]",
	} {
		if got := fmt.Sprint(mirror.Keys(nil, words(line))); got != want {
			t.Errorf("%.60s: %s, want %s", line, got, want)
		}
	}
	if got := mirror.Keys([]int{7}, words("del a")); fmt.Sprint(got) != "[7 1]" {
		t.Errorf("%v, not appended", got)
	}
}

func TestElsewhere(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]int{"copy a b": 0, "copy a b replace db 3": 5, "move k 3": 2, "set k v": 0, "xadd k * f v": 0} {
		if got := mirror.Elsewhere(words(line)); got != want {
			t.Errorf("%s: %d, want %d", line, got, want)
		}
	}
}

func TestUnsure(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"get k":         "",
		"rename a b":    "u 3/a; u 3/b",
		"copy a b db 5": "u 3/b; u 5/b; u b",
		"flushdb":       "u */",
		"nosuch a":      "u 3/a",
	} {
		cmd := redis.NewCmd(t.Context(), words(line)...)
		cmd.SetErr(replyError("the reply was lost"))
		var ops mirror.Ops
		ops.Unsure("3", cmd)
		if got := opsText(&ops); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}
