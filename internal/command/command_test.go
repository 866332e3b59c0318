package command_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/command"
)

func args(line string) []any {
	var out []any
	for f := range strings.FieldsSeq(line) {
		out = append(out, f)
	}
	return out
}

func TestHarmlessTwice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want  bool
		lines string
	}{
		{true, `get k | GET k | mget a b | HGETALL k | xread block 0 streams s $ | eval_ro s 0 | xinfo stream s
			| set k v | SET k v EX 10 | set k v xx | set k v keepttl | mset a 1 b 2 | setex k 10 v | hmset h f v
			| setrange k 0 x | lset l 0 x | expire k 10 | expire k 10 xx | pexpire k 10 | getex k | getex k ex 10
			| getex k persist | ltrim l 0 99 | ltrim l -100 -1 | copy a b replace | restore k 0 x replace
			| zadd z xx 1 m | zadd z XX GT 1 m | sunionstore d a b | zunionstore d 2 a b | pfmerge d d a
			| bitop and d a b | sort k | georadius g 1 1 1 m | bitfield k get u8 0 | script load x
			| function load replace code | wait 1 0 | config get maxmemory | expireat k 99999999999
			| pexpireat k 99999999999999`},
		{false, `incr k | INCRBY k 2 | append k x | del k | unlink k | sadd s m | hset h f v | hsetnx h f v | setnx k v
			| set k v nx | set k v get | set k v nx get | set k v ifeq x | getset k v | getdel k | msetnx a 1 | lpush l x
			| rpush l x | blpop l 0 | xadd s * f v | xreadgroup group g c streams s > | expire k 10 nx | expire k 10 gt
			| expire k 0 | expire k -1 | pexpireat k 1 | expireat k 1 | getex k exat 1 | ltrim l 1 -1 | ltrim l 0 -2
			| ltrim l x y | copy a b | copy a a replace | restore k 0 x | zadd z 1 m | zadd z 1 xx | zadd z xx ch 1 m
			| zadd z xx incr 1 m | sunionstore d d b | zunionstore d 2 d b | bitop not d d | sort k store d
			| georadius g 1 1 1 m store d | bitfield k incrby u8 0 1 | eval s 0 | evalsha s 0 | fcall f 0 | publish c m
			| flushall | swapdb 0 1 | rename a b | function load code | nosuchcommand k | a-name-that-is-far-too-long-for-a-command x
			| config set maxmemory 1 | select 1 | hello 3 | json.set k $ 1 | script | persist k | smove a b c | pfadd k x
			| setbit k 1 1 | zincrby z 1 m | xack s g 1`},
	} {
		for line := range strings.SplitSeq(c.lines, "|") {
			a := args(line)
			if got := command.HarmlessTwice(command.Of(a), a); got != c.want {
				t.Errorf("%s: harmless twice = %v, want %v", strings.TrimSpace(line), got, c.want)
			}
		}
	}
	if command.HarmlessTwice(command.Of(nil), nil) {
		t.Error("a command without a name is harmless twice")
	}
	at := []any{"expireat", "k", time.Now().Add(time.Hour).Unix()}
	if !command.HarmlessTwice(command.Of(at), at) {
		t.Error("EXPIREAT in an hour is not harmless twice")
	}
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pipeline string
		want     bool
	}{
		{"get a | mget b c", true},
		{"set a 1 | set b 2 | get a", true},
		{"set a 1 | expire a 10", true},
		{"get a | set a 2", false},              // the second GET would see the first SET
		{"expire a 10 | set a 1", false},        // 0 becomes 1
		{"set a 1 xx | set b 1", false},         // nil becomes OK
		{"set a 1 | copy a b replace", true},    // the same copy again
		{"copy a b replace | set a 1", false},   // copies what was set
		{"hmset h f v | set h x", false},        // OK becomes WRONGTYPE
		{"set a 1 keepttl | set a 2", false},    // the expiry is gone the second time
		{"set a 1 | incr a", false},             // INCR is never sent twice, whatever stands before it
		{"set a 1 | get a | set a 2", false},    // careful: a write after a read
		{"setex a 10 x | psetex b 10 y", true},  // overwrites
		{"mset a 1 b 2 | strlen a | ttl", true}, // reads at the end
	} {
		var r command.Repeat
		for line := range strings.SplitSeq(c.pipeline, "|") {
			a := args(line)
			r.Add(command.Of(a), a)
		}
		if r.Harmless() != c.want {
			t.Errorf("%s: harmless = %v, want %v", c.pipeline, r.Harmless(), c.want)
		}
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]command.Class{
		"hello 3":              command.Session,
		"CLIENT setname x":     command.Session,
		"watch k":              command.Session,
		"CONFIG SET x 1":       command.Admin,
		"config nosuch":        0,
		"acl whoami":           command.Admin,
		"eval x 0":             command.Script | command.Code,
		"SSCAN k 0":            command.Read | command.Cursor,
		"unlink k":             command.Deletes,
		"script debug yes":     command.Session,
		"get k":                command.Read,
		"xreadgroup group g c": command.Blocking,
	} {
		if got := command.Of(args(line)); got != want {
			t.Errorf("%s: class %b, want %b", line, got, want)
		}
	}
}

func TestOfDoesNotAllocate(t *testing.T) {
	lines := [][]any{args("get k"), args("GET k"), args("SET k v EX 10"), args("config get x"), args("NOSUCH k")}
	n := testing.AllocsPerRun(100, func() {
		for _, a := range lines {
			command.HarmlessTwice(command.Of(a), a)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkOf(b *testing.B) {
	for _, line := range []string{"get k", "set k v ex 10", "incr k", "ZADD z 1 m"} {
		b.Run(strings.Fields(line)[0], func(b *testing.B) {
			b.ReportAllocs()
			a := args(line)
			for b.Loop() {
				command.HarmlessTwice(command.Of(a), a)
			}
		})
	}
}
