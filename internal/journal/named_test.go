package journal_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

const stream = "fallback:test:journal"

// past makes the journal one that has passed a limit: 1 the first, 2 the second.
func (r *rig) past(limit int) {
	r.tb.Helper()
	n := r.store.Client().XLen(r.ctx, stream).Val()
	most := n
	if limit == 2 {
		most = max(n/2, 1)
	}
	f, err := r.store.Tick(r.ctx, &journal.Process{ID: "p", Serving: journal.Local}, journal.Limits{Entries: most})
	r.check(err)
	if !f.NamesOnly || f.Full != (limit == 2) {
		r.tb.Fatalf("past limit %d: names only %v, full %v", limit, f.NamesOnly, f.Full)
	}
}

// run runs writes on local in one call, as a program's are, given as words: with "3:" before the first
// for database 3.
func (r *rig) run(lines ...string) error {
	r.tb.Helper()
	rec := r.record()
	if rec.Serving != journal.Local {
		return errElsewhere // nobody writes here then
	}
	w := journal.Write{Fence: rec.Fence(), Kind: journal.KindWrite, Many: true, Keys: true}
	if len(lines) > 1 {
		w.Kind = journal.KindTx
	}
	var cmds []journal.Noted
	for _, line := range lines {
		if db, rest, ok := strings.Cut(line, ":"); ok {
			line, w.Label = rest, db
			w.DB, _ = strconv.Atoi(db)
		}
		var args []any
		for word := range strings.FieldsSeq(line) {
			args = append(args, word)
		}
		cmds = append(cmds, r.store.Note(args))
	}
	replies, err := r.store.Client().Do(r.ctx, r.store.Body(r.store.Args(w, cmds))...).Slice()
	if err != nil {
		return err
	}
	if len(replies) != len(lines) {
		r.tb.Fatalf("%d replies to %q", len(replies), lines)
	}
	for _, reply := range replies {
		if failed, ok := reply.(error); ok {
			err = errors.Join(err, failed)
		}
	}
	return err
}

var errElsewhere = errors.New("JOURNALFENCED local does not serve")

func (r *rig) runs(lines ...string) {
	r.tb.Helper()
	if err := r.run(lines...); err != nil {
		r.tb.Fatalf("%q: %v", lines, err)
	}
}

func (r *rig) refuses(lines ...string) {
	r.tb.Helper()
	before := keyspace(r, r.client(r.local, 0))
	n := r.store.Client().XLen(r.ctx, stream).Val()
	if err := r.run(lines...); !journal.Full(err) {
		r.tb.Errorf("%q: %v, want a full journal", lines, err)
	}
	if after := keyspace(r, r.client(r.local, 0)); after != before {
		r.tb.Errorf("%q was refused and has changed local from\n%s to\n%s", lines, before, after)
	}
	if m := r.store.Client().XLen(r.ctx, stream).Val(); m != n {
		r.tb.Errorf("%q was refused and left %d entries", lines, m-n)
	}
}

// entries is what the journal holds of commands, from the given entry on.
func (r *rig) entries(from int64) string {
	r.tb.Helper()
	all, err := r.store.Client().Do(r.ctx, "xrange", stream, "-", "+").Slice()
	r.check(err)
	text := ""
	for _, e := range all[from:] {
		two := e.([]any)
		var fields []string
		for _, f := range two[1].([]any) {
			fields = append(fields, fmt.Sprint(f))
		}
		parsed, err := journal.ParseEntry(fmt.Sprint(two[0]), fields)
		r.check(err)
		for _, args := range parsed.Commands {
			text += strings.Join(args, " ") + "\n"
		}
	}
	return text
}

// keyspace is all keys of a database, but ours, with what they hold.
func keyspace(r *rig, rdb *redis.Client) string {
	r.tb.Helper()
	keys, err := rdb.Keys(r.ctx, "*").Result()
	r.check(err)
	sort.Strings(keys)
	text := ""
	for _, key := range keys {
		if strings.HasPrefix(key, "fallback:") {
			continue
		}
		kind := rdb.Type(r.ctx, key).Val()
		var args []any
		switch kind {
		case "string":
			args = []any{"get", key}
		case "list":
			args = []any{"lrange", key, 0, -1}
		case "set":
			args = []any{"smembers", key}
		case "hash":
			args = []any{"hgetall", key}
		case "zset":
			args = []any{"zrange", key, 0, -1, "withscores"}
		case "stream":
			args = []any{"xinfo", "stream", key, "full"}
		}
		v, err := rdb.Do(r.ctx, args...).Result()
		r.check(err)
		switch list := v.(type) {
		case []any:
			if kind == "set" {
				slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		case map[any]any:
			delete(list, "radix-tree-keys")
			delete(list, "radix-tree-nodes")
		}
		due := "for ever"
		if rdb.PTTL(r.ctx, key).Val() > 0 {
			due = "with a deadline"
		}
		text += fmt.Sprintln(key, kind, due, v)
	}
	return text
}

// same checks that the primary has what local has.
func (r *rig) same(dbs ...int) {
	r.tb.Helper()
	for _, db := range append(dbs, 0) {
		if here, there := keyspace(r, r.client(r.local, db)), keyspace(r, r.client(r.primary, db)); here != there {
			r.tb.Errorf("in database %d local has\n%s and the primary\n%s", db, here, there)
		}
	}
}

func TestNamesStandForWrites(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.SAdd(r.ctx, "s", "from the primary").Err())
	r.runs("incr n")
	r.runs("sadd s before")
	r.past(1)
	n := r.store.Client().XLen(r.ctx, stream).Val()
	// What makes a key whole adds its name, once; what does not keeps its operations.
	for range 3 {
		r.runs("set k 1")
		r.runs("incr k")
		r.runs("append k 0")
	}
	r.runs("set k 1 nx") // not done
	r.runs("sadd s after")
	r.runs("rpush l a") // local is cold: the primary may have the rest
	r.runs("del n")
	r.runs("incr n")
	r.runs("mset a 1 b 2")
	r.runs("rename a c")
	r.runs("sunionstore u s")
	r.runs("3:set k three")
	if got, want := r.entries(n), "!name k 0\nsadd s after\nrpush l a\n!name n 0\n!name a 0\n!name b 0\n!name c 0\nsunionstore u s\n!name k 3\n"; got != want {
		t.Errorf("the journal has\n%s, want\n%s", got, want)
	}
	r.check(r.rdb.RPush(r.ctx, "l", "old").Err())
	r.deliver(r.drain())
	r.wants("k", "20", "n", "1", "a", "", "b", "2", "c", "1")
	if got := r.client(r.primary, 3).Get(r.ctx, "k").Val(); got != "three" {
		t.Errorf("in database 3: %q", got)
	}
	if got := fmt.Sprint(r.rdb.SCard(r.ctx, "s").Val(), r.rdb.SCard(r.ctx, "u").Val(), r.rdb.LRange(r.ctx, "l", 0, -1).Val()); got != "3 3 [old a]" {
		t.Errorf("what local did not hold whole is %s", got)
	}
	r.letters(0)
	// What is written once the names have been delivered adds them again.
	n = r.store.Client().XLen(r.ctx, stream).Val()
	r.runs("incr k")
	r.runs("incr k")
	if got := r.entries(n); got != "!name k 0\n" {
		t.Errorf("behind its delivery the journal has %q", got)
	}
	r.deliver(r.drain())
	r.wants("k", "22")
}

func TestWhatTouchesNamedAndOtherKeysIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.runs("sadd other x")
	r.runs("rpush list x")
	r.past(1)
	r.runs("del whole")
	r.runs("sadd whole a b")
	for _, line := range []string{
		"smove whole other a", "sunionstore other2 whole other", "rename other whole", "copy other whole replace",
		"copy whole copied db 3", "move whole 3", "sort whole store other2 alpha", "pfmerge other whole",
	} {
		r.refuses(line)
	}
	r.refuses("set x 1", "smove whole other a") // a transaction is whole or not at all
	r.refuses("setnx maybe 1", "bitop and maybe2 maybe other")
	r.runs("set x 1", "incr x", "sadd other y")
	r.runs("smove other other2 x")
	r.runs("sdiffstore difference whole")
	r.runs("rename whole elsewhere")
	r.deliver(r.drain())
	r.same()
	r.letters(0)
}

func TestPastTheSecondLimitOnlyWhatAddsNothingIsTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.runs("incr n")
	r.past(1)
	r.runs("set k 1")
	r.runs("set l 1")
	r.past(2)
	n := r.store.Client().XLen(r.ctx, stream).Val()
	for _, line := range []string{"incr n", "set m 1", "del m", "flushdb", "rename k m", "mset k 1 m 1"} {
		r.refuses(line)
	}
	r.runs("incr k")
	r.runs("rename k l")
	r.runs("set k v", "append k w")
	r.refuses("set k v", "incr n")
	if m := r.store.Client().XLen(r.ctx, stream).Val(); m != n {
		t.Errorf("it has grown from %d entries to %d", n, m)
	}
	r.deliver(r.drain())
	r.same()
	r.refuses("incr k") // its name has been delivered, and it would need another one
}

func TestAJournalOfNamesStaysSmall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const keys, calls, each = 1000, 1000, 1000
	r.past(1)
	w := journal.Write{Fence: r.record().Fence(), Kind: journal.KindWrite, Many: true, Keys: true}
	for i := range calls {
		var cmds []journal.Noted
		for j := range each {
			name := "incr"
			if i == 0 {
				name = "getdel" // of one that is not there: no entry
			}
			if i == 1 {
				name = "unlink"
			}
			cmds = append(cmds, r.store.Note([]any{name, fmt.Sprint("k", j%keys)}))
		}
		if err := r.store.Client().Do(r.ctx, r.store.Body(r.store.Args(w, cmds))...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	all := r.store.Client()
	if n, m := all.XLen(r.ctx, stream).Val(), all.HLen(r.ctx, "fallback:test:names").Val(); n > keys+1 || m != keys {
		t.Errorf("after %d writes to %d keys the journal has %d entries and %d names", calls*each, keys, n, m)
	}
	p := r.deliver(r.drain())
	r.wants("k0", fmt.Sprint(calls-2), "k999", fmt.Sprint(calls-2))
	if p.Commands > 100 {
		t.Errorf("it cost %d commands", p.Commands)
	}
	r.same()
}

func TestAllTypesAreCopied(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, key := range []string{"string", "list", "set", "hash", "zset", "stream", "gone", "large"} {
		r.check(r.rdb.LPush(r.ctx, key, "old").Err())
	}
	r.past(1)
	r.runs("del list set hash zset stream gone large expired")
	r.runs("set string v ex 100")
	r.runs("rpush list a b a c")
	r.runs("sadd set a b c")
	r.runs("hset hash f 1 g 2")
	r.runs("expire hash 100")
	r.runs("zadd zset 1.5 a inf b -3 c 0.1 d")
	r.runs("xadd stream 1-1 f v")
	r.runs("xadd stream 2-1 f v")
	r.runs("xgroup create stream g 0")
	r.runs("set gone v")
	r.runs("unlink gone")
	r.runs("set expired v px 1")
	for i := range 50 {
		line := "rpush large"
		for j := range 500 {
			line += " " + strconv.Itoa(i*500+j)
		}
		r.runs(line)
	}
	e, err := r.drain().Estimate(r.ctx)
	r.check(err)
	p, err := r.drain().Deliver(r.ctx, journal.Options{})
	r.check(err)
	if e.Commands != p.Commands {
		t.Errorf("estimated %+v, was %+v", e, p)
	}
	r.same()
	if n := r.rdb.XInfoGroups(r.ctx, "stream").Val(); len(n) != 1 {
		t.Errorf("the stream has the groups %v", n)
	}
	r.letters(0)
}

func TestAFlushMakesEveryKeyWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.MSet(r.ctx, "n", 5, "m", 5, "k", 5).Err())
	r.past(1)
	r.runs("set k 1")
	r.runs("flushdb")
	r.runs("incr n")
	r.runs("incr n")
	r.runs("incr k")
	r.runs("flushall", "incr m", "3:incr m") // the second in the same database
	r.runs("3:incr n")
	r.deliver(r.drain())
	r.same(3)
	r.letters(0)
}

func TestNamesWaitForProcessesThatUseThePrimary(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.past(1)
	r.runs("set k 1")
	late := &journal.Process{ID: "late", Serving: journal.Primary}
	_, err := r.store.Tick(r.ctx, late, journal.Limits{})
	r.check(err)
	if _, err := r.drain().Deliver(r.ctx, journal.Options{}); !errors.Is(err, journal.ErrUnheard) {
		t.Fatal(err)
	}
	r.wants("k", "")
	late.Serving = journal.Local
	_, err = r.store.Tick(r.ctx, late, journal.Limits{})
	r.check(err)
	r.deliver(r.drain())
	r.wants("k", "1")
}

// Below the first limit a write costs local the same commands as a journal that knows no names: the fence
// says that there are none.
func TestNamesCostNothingBelowTheLimit(t *testing.T) {
	t.Parallel()
	for _, keys := range []bool{false, true} {
		r := newRig(t)
		w := journal.Write{Fence: r.record().Fence(), Kind: journal.KindWrite, Keys: keys}
		args := r.store.Body(r.store.Args(w, []journal.Noted{r.store.Note([]any{"set", "k", "v"})}))
		r.check(r.store.Client().ConfigResetStat(r.ctx).Err())
		for range 10 {
			r.check(r.store.Client().Do(r.ctx, args...).Err())
		}
		got := map[string]string{}
		for line := range strings.Lines(r.store.Client().Info(r.ctx, "commandstats").Val()) {
			name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
			if calls, _, _ := strings.Cut(rest, ","); ok && name != "eval" && name != "config|resetstat" && name != "select" {
				got[name] = calls
			}
		}
		if want := map[string]string{"get": "10", "set": "10", "xadd": "10"}; !maps.Equal(got, want) {
			t.Errorf("keys %v: local ran %v, want %v", keys, got, want)
		}
	}
}
