package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/mirror"
)

const now = 1_000_000_000_000

// replyError is an error that a server answered.
type replyError string

func (e replyError) Error() string { return string(e) }

func (e replyError) RedisError() {}

func words(line string) []any {
	var args []any
	for w := range strings.FieldsSeq(line) {
		args = append(args, w)
	}
	return args
}

// opsText writes operations as effectRows do.
func opsText(ops *mirror.Ops) string {
	var all []string
	for op := range ops.All {
		s := string(rune(op.Kind))
		key := op.Key
		if op.DB != "" {
			key = op.DB + "/" + key
		}
		if key != "" {
			s += " " + key
		}
		if len(op.Args) > 0 {
			s += ": " + strings.Join(op.Args, " ")
		}
		all = append(all, s)
	}
	return strings.Join(all, "; ")
}

// answered returns a call that was answered, as go-redis' own type and as *redis.Cmd.
func answered(t *testing.T, args []any, reply string) [2]redis.Cmder {
	t.Helper()
	ctx := context.Background()
	var typed redis.Cmder = redis.NewStringCmd(ctx, args...)
	plain := redis.NewCmd(ctx, args...)
	set := func(cmd redis.Cmder, v any) {
		typed = cmd
		plain.SetVal(v)
	}
	text := reply[1:]
	number, _ := strconv.ParseInt(text, 10, 64)
	switch reply[0] {
	case ':':
		cmd := redis.NewIntCmd(ctx, args...)
		cmd.SetVal(number)
		set(cmd, number)
	case '?':
		cmd := redis.NewBoolCmd(ctx, args...)
		cmd.SetVal(number == 1)
		set(cmd, number)
		if text == "nil" {
			plain.SetErr(redis.Nil)
		}
	case '+':
		cmd := redis.NewStatusCmd(ctx, args...)
		cmd.SetVal(text)
		set(cmd, text)
	case '$':
		cmd := redis.NewStringCmd(ctx, args...)
		cmd.SetVal(text)
		set(cmd, text)
	case ',':
		v, _ := strconv.ParseFloat(text, 64)
		cmd := redis.NewFloatCmd(ctx, args...)
		cmd.SetVal(v)
		set(cmd, v)
	case '[':
		var texts []string
		values := []any{}
		for w := range strings.FieldsSeq(strings.Trim(text, "]")) {
			texts, values = append(texts, w), append(values, w)
		}
		cmd := redis.NewStringSliceCmd(ctx, args...)
		cmd.SetVal(texts)
		set(cmd, values)
	case '(':
		var numbers []int64
		var values []any
		for w := range strings.FieldsSeq(strings.Trim(text, ")")) {
			n, _ := strconv.ParseInt(w, 10, 64)
			numbers, values = append(numbers, n), append(values, n)
		}
		cmd := redis.NewIntSliceCmd(ctx, args...)
		cmd.SetVal(numbers)
		set(cmd, values)
	default:
		err := error(redis.Nil)
		if reply[0] == '-' {
			err = replyError(text)
		}
		typed.SetErr(err)
		plain.SetErr(err)
	}
	return [2]redis.Cmder{typed, plain}
}

func TestEffect(t *testing.T) {
	t.Parallel()
	for row := range strings.Lines(effectRows) {
		line, want, ok := strings.Cut(strings.TrimSpace(row), " >")
		if !ok {
			continue
		}
		i := strings.LastIndex(line, "|")
		call, reply := strings.TrimSpace(line[:i]), strings.TrimSpace(line[i+1:])
		want = strings.TrimSpace(want)
		for _, cmd := range answered(t, words(call), reply) {
			if _, plain := cmd.(*redis.Cmd); plain && reply[0] == ',' {
				continue // no reply of RESP2 or of these commands
			}
			var ops mirror.Ops
			ops.Effect("", cmd, now)
			if got := opsText(&ops); got != want {
				t.Errorf("%s, answered %s to %T: %s, want %s", call, reply, cmd, got, want)
			}
		}
	}
}

// effectOf is the effect of a command in database 2.
func effectOf(cmd redis.Cmder) string {
	var ops mirror.Ops
	ops.Effect("2", cmd, now)
	return opsText(&ops)
}

type wrapper struct{ redis.Cmder }

func TestEffectOfOtherReplies(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	plain := func(line string, v any) redis.Cmder {
		cmd := redis.NewCmd(ctx, words(line)...)
		cmd.SetVal(v)
		return cmd
	}
	keyValues := redis.NewKeyValuesCmd(ctx, words("lmpop 2 a b right count 3")...)
	keyValues.SetVal("b", []string{"x", "y"})
	zslice := redis.NewZSliceCmd(ctx, words("zpopmax k 3")...)
	zslice.SetVal([]redis.Z{{Member: "m"}, {Member: "n"}})
	zkey := redis.NewZWithKeyCmd(ctx, words("bzpopmin a b 0")...)
	zkey.SetVal(&redis.ZWithKey{Key: "b"})
	zsliceKey := redis.NewZSliceWithKeyCmd(ctx, words("bzmpop 0 2 a b max count 3")...)
	zsliceKey.SetVal("a", []redis.Z{{Member: "m"}, {Member: "n"}})
	read := redis.NewXStreamSliceCmd(ctx, words("xreadgroup group g c count 5 block 0 noack streams a b c > > 0")...)
	read.SetVal([]redis.XStream{{Stream: "a", Messages: make([]redis.XMessage, 2)}, {Stream: "c", Messages: make([]redis.XMessage, 1)}})
	claim := redis.NewXMessageSliceCmd(ctx, words("xclaim k g c 5 1-1 idle 7 retrycount 3 lastid 9-9")...)
	claim.SetVal([]redis.XMessage{{ID: "1-1"}})
	auto := redis.NewXAutoClaimCmd(ctx, words("xautoclaim k g c 5 0 count 9")...)
	auto.SetVal([]redis.XMessage{{ID: "1-1"}}, "0-0")
	autoPart := redis.NewXAutoClaimCmd(ctx, words("xautoclaim k g c 5 0 count 9")...)
	autoPart.SetVal([]redis.XMessage{{ID: "1-1"}}, "2-0")
	autoDeleted := redis.NewXAutoClaimWithDeletedCmd(ctx, words("xautoclaim k g c 5 0")...)
	autoDeleted.SetVal(nil, "0-0", []string{"1-1"})
	autoIDs := redis.NewXAutoClaimJustIDCmd(ctx, words("xautoclaim k g c 5 0 justid")...)
	autoIDs.SetVal([]string{"1-1"}, "0-0")
	raw := redis.NewRawCmd(ctx, words("incr k")...)
	raw.SetVal([]byte("-ERR\r\n"))
	broken := redis.NewStringCmd(ctx, words("sadd k m")...)
	broken.SetErr(errors.New("can't parse the reply"))
	entry := []any{"1-1", []any{"f", "v"}}

	for want, cmd := range map[string]redis.Cmder{
		"p 2/b: RPOP b 2":    keyValues,
		"p 2/k: ZPOPMAX k 2": zslice,
		"p 2/b: ZPOPMIN b 1": zkey,
		"p 2/a: ZPOPMAX a 2": zsliceKey,
		"p 2/a: XREADGROUP GROUP g c COUNT 2 NOACK STREAMS a >; p 2/c: XREADGROUP GROUP g c COUNT 1 NOACK STREAMS c 0": read,
		"p 2/k: XCLAIM k g c 0 1-1 idle 7 retrycount 3 lastid 9-9":                                                     claim,
		"p 2/k: XCLAIM k g c 0 1-1; p 2/k: xautoclaim k g c 9223372036854775807 0 count 9":                             auto,
		"u 2/k": autoPart,
		"p 2/k: xautoclaim k g c 9223372036854775807 0":                                          autoDeleted,
		"p 2/k: XCLAIM k g c 0 1-1 JUSTID; p 2/k: xautoclaim k g c 9223372036854775807 0 justid": autoIDs,

		"p 2/b: LPOP b 2":        plain("lmpop 2 a b left count 3", []any{"b", []any{"x", "y"}}),
		"p 2/z: ZPOPMIN z 2":     plain("zpopmin z 3", []any{"m", "1", "n", "2"}),
		"p 2/z3: ZPOPMIN z3 2":   plain("zpopmin z3 3", []any{[]any{"m", 1.0}, []any{"n", 2.0}}),
		"p 2/zk: ZPOPMIN zk 1":   plain("bzpopmin zk 0", []any{"zk", "m", "1"}),
		"p 2/zm: ZPOPMIN zm 1":   plain("zmpop 1 zm min", []any{"zm", []any{[]any{"m", 1.0}}}),
		"u 2/odd":                plain("zpopmin odd 3", []any{"m"}),
		"":                       plain("zpopmin none", []any{}),
		"p 2/t: SET t 7 KEEPTTL": plain("decr t", "7"),
		"u 2/nil":                plain("spop nil 2", []any{nil}),
		"p 2/x: XREADGROUP GROUP g c COUNT 1 STREAMS x >": plain("xreadgroup group g c streams x >", []any{[]any{"x", []any{entry}}}),
		"p 2/y: XREADGROUP GROUP g c COUNT 1 STREAMS y >": plain("xreadgroup group g c streams y >", map[any]any{"y": []any{entry}}),
		"u 2/w; u 2/w":                plain("xreadgroup group g c streams w w > >", map[any]any{"w": []any{entry}}),
		"u 2/q":                       plain("xreadgroup group g c streams q >", "?"),
		"p 2/cl: XCLAIM cl g c 0 1-1": plain("xclaim cl g c 5 1-1", []any{entry}),
		"p 2/ca: XCLAIM ca g c 0 1-1; p 2/ca: xautoclaim ca g c 9223372036854775807 0": plain("xautoclaim ca g c 5 0", []any{"0-0", []any{entry}, []any{}}),
		"u 2/cn":                       plain("xautoclaim cn g c 5 0", []any{"0-0", []any{nil}}),
		"w 2/nx: SET nx v":             plain("setnx nx v", true),
		"p 2/wr: sadd wr m":            wrapper{redis.NewIntCmd(ctx, words("sadd wr m")...)},
		"u 2/wr":                       wrapper{redis.NewIntCmd(ctx, words("incr wr")...)},
		"u 2/wn":                       wrapper{redis.NewIntCmd(ctx, words("setnx wn v")...)},
		"u 2/wx":                       wrapper{redis.NewIntCmd(ctx, words("set wx v nx")...)},
		"u 2/mv; u 3/mv; u mv; d 2/mv": plain("move mv 3", int64(1)),
		"u 2/c; u 3/c; u c":            plain("copy b c db 3", int64(1)),
		"F 2/":                         plain("flushdb", "OK"),
	} {
		if got := effectOf(cmd); got != want {
			t.Errorf("%v to %T: %s, want %s", cmd.Args(), cmd, got, want)
		}
	}
	for _, cmd := range []redis.Cmder{raw, broken} {
		if got := effectOf(cmd); got != "u 2/k" {
			t.Errorf("%v to %T: %s, want it unsure", cmd.Args(), cmd, got)
		}
	}
}

func TestEffectOfOtherArguments(t *testing.T) {
	t.Parallel()
	ok := func(args ...any) redis.Cmder {
		cmd := redis.NewStatusCmd(t.Context(), args...)
		cmd.SetVal("OK")
		return cmd
	}
	value := "v"
	many := []any{"sadd", "k"}
	for range 5000 {
		many = append(many, 1)
	}
	guesses := []any{"nosuch"}
	for i := range 65 {
		guesses = append(guesses, i)
	}
	for _, c := range []struct {
		cmd  redis.Cmder
		want string
	}{
		{ok("set", []byte("k"), 1.5, "ex", 10), "w 2/k: SET k 1.5 PXAT 1000000010000"},
		{ok("set", "k", &value, "PX", int32(10)), "w 2/k: SET k v PXAT 1000000000010"},
		{ok("set", "k", time.Second, "px", []byte("10")), "w 2/k: SET k 1000000000 PXAT 1000000000010"},
		{ok("set", "k", "v", []byte("px"), 10), "u 2/k"},
		{ok([]byte("set"), "k", "v"), "u 2/k; u 2/v"},
		{ok("nosuch", "k", 1.5, nil, true, 7, []byte("b")), "u 2/k; u 2/7; u 2/b"},
		{ok(many...), "u 2/k"},
		{ok(guesses...), "u */"},
		{ok(), ""},
		{ok(7), ""},
	} {
		if got := effectOf(c.cmd); got != c.want {
			t.Errorf("%.60v: %s, want %s", c.cmd.Args(), got, c.want)
		}
	}
}

// TestSetPopOfManyMembers wants no command longer than a script can hand on.
func TestSetPopOfManyMembers(t *testing.T) {
	t.Parallel()
	cmd := redis.NewStringSliceCmd(t.Context(), "spop", "k", 2500)
	members := make([]string, 2500)
	for i := range members {
		members[i] = fmt.Sprint(i)
	}
	cmd.SetVal(members)
	var ops mirror.Ops
	ops.Effect("", cmd, now)
	var got []string
	for op := range ops.All {
		if len(op.Args) > 1002 {
			t.Errorf("%d arguments", len(op.Args))
		}
		got = append(got, op.Args[2:]...)
	}
	if strings.Join(got, " ") != strings.Join(members, " ") {
		t.Errorf("%d members, not the %d that came out", len(got), len(members))
	}
}
