package journal_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// entries makes an entry of each line; words in it are arguments, and "key@ms" at its end is a deadline
// of the first key.
func entries(ms uint64, lines ...string) []journal.Entry {
	var all []journal.Entry
	for i, line := range lines {
		line, at, ok := strings.Cut(line, "@")
		e := journal.Entry{ID: journal.ID{Ms: ms + uint64(i), Seq: 0}, Kind: journal.KindWrite}
		db, rest, selected := strings.Cut(line, ":")
		if selected {
			e.DB, line = db, rest
		}
		e.Commands = [][]string{strings.Fields(line)}
		if ok {
			var d journal.Deadline
			fmt.Sscan(at, &d.Ms)
			d.Arg = 1
			e.Deadlines = append(e.Deadlines, d)
		}
		all = append(all, e)
	}
	return all
}

func TestFolding(t *testing.T) {
	t.Parallel()
	const now = 10_000
	for _, c := range []struct {
		name string
		in   []string // written at 500, 501, …
		want []string
	}{
		{"numbers", []string{"incr a", "INCRBY a 5", "decr a", "decrby a 10"}, []string{"incrby a -5"}},
		{"a sum beyond 64 bits", []string{"incrby a 9223372036854775807", "incr a"}, []string{"incrby a 9223372036854775807", "incrby a 1"}},
		{"not a number", []string{"incrby a x", "incr a"}, []string{"incrby a x", "incrby a 1"}},
		{"the last value", []string{"set a 1", "append a 2", "set a 3"}, []string{"set a 3"}},
		{"values of several keys", []string{"set a 1", "mset b 2 c 3", "set a 4"}, []string{"mset a 4 b 2 c 3"}},
		{"appended", []string{"set a 1", "append a 2", "append b 3", "append b 4"}, []string{"set a 12", "append b 34"}},
		{"a list", []string{"rpush l a b", "RPUSH l c", "lpush l d", "lpush l e f"}, []string{"rpush l a b c", "lpush l d e f"}},
		{"a set", []string{"sadd s a", "sadd s b", "srem s a", "sadd s c"}, []string{"sadd s a b", "srem s a", "sadd s c"}},
		{"fields", []string{"hset h f 1 g 2", "hset h f 3", "hmset h k 4"}, []string{"hset h f 3 g 2 k 4"}},
		{"numbers of fields", []string{"hincrby h f 1", "hincrby h g 2", "hincrby h f 3", "hset h f 0", "hincrby h f 1"}, []string{"hincrby h f 4", "hincrby h g 2", "hset h f 0", "hincrby h f 1"}},
		{"scores", []string{"zadd z 1 a", "zadd z 2 b", "zadd z nx 3 c", "zadd z NX 4 d", "zadd z gt 3 c"}, []string{"zadd z 1 a 2 b", "zadd z nx 3 c 4 d", "zadd z gt 3 c"}},
		{"deleted", []string{"rpush l a", "incr b", "del l b"}, []string{"unlink l b"}},
		{"made again", []string{"rpush l a", "del l", "rpush l b"}, []string{"unlink l", "rpush l b"}},
		{"never folded", []string{"xadd x 1-1 f v", "xadd x 1-2 f v"}, []string{"xadd x 1-1 f v", "xadd x 1-2 f v"}},
		{"a barrier", []string{"incr a", "incr b", "rename a c", "incr b"}, []string{"incrby a 1", "incrby b 1", "rename a c", "incrby b 1"}},
		{"not known", []string{"incr a", "foo.bar z", "incr a"}, []string{"incrby a 1", "foo.bar z", "incrby a 1"}},
		{"databases", []string{"incr a", "1:incr a", "incr a", "0:incr a", "1:incr a"}, []string{"incrby a 3", "1:incrby a 2"}},
		{"flushed", []string{"incr a", "1:incr a", "rename a b", "flushdb", "incr c"}, []string{"1:incrby a 1", "flushdb", "incrby c 1"}},
		{"all flushed", []string{"incr a", "1:incr a", "rename a b", "1:flushall", "incr c"}, []string{"1:flushall", "incrby c 1"}},
		{"flushed behind a script", []string{"incr a", "eval x 0", "incr a", "flushdb"}, []string{"incrby a 1", "eval x 0", "flushdb"}},
		{"expires", []string{"set a 1@15000", "incr b@15000", "!deadline c@15000"}, []string{"set a 1 px 5000", "incrby b 1", "pexpire b 5000", "pexpire c 5000"}},
		{"expired", []string{"set a 1@900", "hset b f v@1000", "!deadline c@0", "set d 1@0"}, []string{"unlink a b c d"}},
		{"a value that changed after its deadline was set", []string{"set a 1@15000", "append a 2@15000"}, []string{"set a 12 px 5000"}},
		{"expired and made again", []string{"hset s a 1@500", "hset s b 2"}, []string{"unlink s", "hset s b 2"}},
		{"not expired: it has its deadline still", []string{"hset s a 1@15000", "hset s b 2@15000"}, []string{"hset s a 1 b 2", "pexpire s 5000"}},
		{"persisted", []string{"hset s a 1@15000", "persist s", "hset s b 2"}, []string{"hset s a 1", "persist s", "hset s b 2"}},
		{"persisted, and nobody told", []string{"hset s a 1@15000", "hset s b 2"}, []string{"hset s a 1 b 2"}},
		{"a new value clears the deadline", []string{"!deadline a@15000", "set a 1"}, []string{"set a 1"}},
		{"deleted with its deadline", []string{"set a 1@15000", "del a", "rpush a x"}, []string{"unlink a", "rpush a x"}},
		{"KEEPTTL of what is known", []string{"set a 1@15000", "set a 2 keepttl@15000"}, []string{"set a 2 px 5000"}},
		{"KEEPTTL of what is not", []string{"incr b", "set a 2 KEEPTTL"}, []string{"incrby b 1", "set a 2 KEEPTTL"}},
		{"renamed while it lived", []string{"set a 1@900", "rename a b@0"}, []string{"set a 1 px 10949", "rename a b", "unlink a"}},
		{"expired before the barrier", []string{"set a 1@501", "incr c", "rename c b"}, []string{"unlink a", "incrby c 1", "rename c b"}},
		{"a barrier that carries the deadline", []string{"set a 1@15000", "sunionstore a b c", "sadd a x"}, []string{"set a 1 px 10949", "sunionstore a b c", "sadd a x"}},
		{"loose before a barrier, and tight at the end", []string{"set a 1@15000", "incr b", "rename b c"}, []string{"set a 1 px 10949", "incrby b 1", "rename b c", "pexpire a 5000"}},
		{"loose before a barrier, and gone at the end", []string{"set a 1@900", "incr b", "rename b c"}, []string{"set a 1 px 10949", "incrby b 1", "rename b c", "unlink a"}},
		{"moved", []string{"set a 1@15000", "move a 1@15000"}, []string{"set a 1 px 10949", "move a 1", "1:pexpire a 5000"}},
		{"restored", []string{"incr a", "restore a 0 x REPLACE", "persist a"}, []string{"restore a 0 x REPLACE", "persist a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := journal.Fold(now, entries(500, c.in...))
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// dump returns all that a database holds.
func dump(tb testing.TB, rdb *redis.Client) map[string]string {
	tb.Helper()
	ctx := context.Background()
	all := map[string]string{}
	for _, key := range rdb.Keys(ctx, "*").Val() {
		var v any
		switch typ := rdb.Type(ctx, key).Val(); typ {
		case "string":
			v = rdb.Get(ctx, key).Val()
		case "list":
			v = rdb.LRange(ctx, key, 0, -1).Val()
		case "set":
			v = rdb.Sort(ctx, key, &redis.Sort{Alpha: true}).Val()
		case "hash":
			v = rdb.HGetAll(ctx, key).Val()
		case "zset":
			v = rdb.ZRangeWithScores(ctx, key, 0, -1).Val()
		case "stream":
			v = rdb.XRange(ctx, key, "-", "+").Val()
		}
		all[key] = fmt.Sprint(v, " ", rdb.ExpireTime(ctx, key).Val() > 0)
	}
	return all
}

// someCommand returns a random write of one of a few keys, whose kinds collide now and then.
func someCommand(rnd *rand.Rand, stream *int) string {
	key := func(kind string) string { return kind + fmt.Sprint(rnd.IntN(3)) }
	word := func() string { return string(rune('a' + rnd.IntN(5))) }
	num := func() string { return fmt.Sprint(rnd.IntN(21) - 10) }
	switch rnd.IntN(30) {
	case 0, 1, 2:
		return "incr " + key("n")
	case 3:
		return "decrby " + key("n") + " " + num()
	case 4:
		return "incrby " + key("n") + " " + num()
	case 5:
		return "set " + key("n") + " " + num()
	case 6:
		return "set " + key("s") + " " + word()
	case 7:
		return "append " + key("s") + " " + word()
	case 8:
		return "rpush " + key("l") + " " + word() + " " + word()
	case 9:
		return "lpush " + key("l") + " " + word()
	case 10:
		return "lrem " + key("l") + " 1 " + word()
	case 11:
		return "sadd " + key("e") + " " + word() + " " + word()
	case 12:
		return "srem " + key("e") + " " + word()
	case 13, 14:
		return "hset " + key("h") + " " + word() + " " + num() + " " + word() + " " + num()
	case 15:
		return "hdel " + key("h") + " " + word()
	case 16, 17:
		return "hincrby " + key("h") + " " + word() + " " + num()
	case 18:
		return "zadd " + key("z") + " " + num() + " " + word()
	case 19:
		return "zadd " + key("z") + " " + []string{"nx", "xx", "gt", "lt"}[rnd.IntN(4)] + " " + num() + " " + word()
	case 20:
		return "zrem " + key("z") + " " + word()
	case 21:
		return "zincrby " + key("z") + " " + num() + " " + word()
	case 22:
		*stream++
		return fmt.Sprintf("xadd x %d-1 f %s", *stream, word())
	case 23:
		return "del " + key([]string{"n", "s", "l", "e", "h", "z"}[rnd.IntN(6)]) + " " + key("s")
	case 24:
		k := []string{"n", "s", "l", "e", "h", "z"}[rnd.IntN(6)]
		return "rename " + key(k) + " " + key(k)
	case 25:
		return "mset " + key("s") + " " + word() + " " + key("n") + " " + num()
	case 26:
		return "sunionstore " + key("e") + " " + key("e") + " " + key("e")
	case 27:
		return "persist " + key("h")
	case 28:
		if rnd.IntN(8) == 0 {
			return "flushdb"
		}
		return "setrange " + key("s") + " 2 " + word()
	}
	return "smove " + key("e") + " " + key("e") + " " + word()
}

func TestFoldedCommandsLeaveTheSameState(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := context.Background()
	raw, folded := server.Client(t), redis.NewClient(func() *redis.Options { o := server.Options(); o.DB = 1; return o }())
	defer folded.Close()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	for round := range 150 {
		raw.FlushDB(ctx)
		folded.FlushDB(ctx)
		var lines []string
		stream := 0
		for range 1 + rnd.IntN(80) {
			lines = append(lines, someCommand(rnd, &stream))
		}
		run := func(rdb *redis.Client, lines []string) {
			pipe := rdb.Pipeline()
			for _, line := range lines {
				var args []any
				for word := range strings.FieldsSeq(line) {
					args = append(args, word)
				}
				pipe.Do(ctx, args...)
			}
			_, _ = pipe.Exec(ctx)
		}
		run(raw, lines)
		got := journal.Fold(1000, entries(100, lines...))
		run(folded, got)
		if a, b := fmt.Sprint(dump(t, raw)), fmt.Sprint(dump(t, folded)); a != b {
			t.Fatalf("seed %d, round %d: as they were written:\n%s\nfolded:\n%s\nraw commands:\n%s\nfolded ones:\n%s",
				seed, round, a, b, strings.Join(lines, "\n"), strings.Join(got, "\n"))
		}
	}
}

// What only takes away is written down without the deadline of its key, which keeps the one that it has.
func TestWhatOnlyTakesAwayKeepsTheDeadline(t *testing.T) {
	t.Parallel()
	const now, due = 1_000_000, 2_000_000
	for _, line := range []string{
		"hdel k f", "srem k a", "zrem k a", "zremrangebyrank k 0 1", "zremrangebyscore k 0 1", "zremrangebylex k - +", "lrem k 0 a", "ltrim k 0 1",
	} {
		got := journal.Fold(now, []journal.Entry{
			{
				ID: journal.ID{Ms: now - 2}, Kind: journal.KindWrite, Commands: [][]string{{journal.DeadlineName, "k"}},
				Deadlines: []journal.Deadline{{Arg: 1, Ms: due}},
			},
			{ID: journal.ID{Ms: now - 1}, Kind: journal.KindWrite, Commands: [][]string{strings.Fields(line)}},
		})
		if want := []string{line, "pexpire k 1000000"}; !slices.Equal(got, want) {
			t.Errorf("delivered %q, want %q", got, want)
		}
	}
}
