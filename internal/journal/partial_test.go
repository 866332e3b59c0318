package journal_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// What a write begins on a local that is kept warm, and does not wholly make, is noted: and nothing else is.
func TestWhatAWriteBeginsIsNoted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store.Mirrored(0)
	r.check(r.store.Load(r.ctx))
	local := r.client(r.local, 0)
	fence := r.record().Fence()
	key := r.store.PartialKey()
	noted := func() string {
		t.Helper()
		names, err := r.store.Client().SMembers(r.ctx, key).Result()
		r.check(err)
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	run := func(noting bool, calls ...string) {
		t.Helper()
		w := journal.Write{Fence: fence, DB: 0, Kind: journal.KindWrite, Many: len(calls) > 1, Noting: noting}
		var cmds []journal.Noted
		for _, call := range calls {
			var args []any
			for word := range strings.FieldsSeq(call) {
				args = append(args, word)
			}
			cmds = append(cmds, r.store.Note(args))
		}
		if err := local.Do(r.ctx, r.store.Body(r.store.Args(w, cmds))...).Err(); err != nil && !noting && len(calls) > 1 {
			t.Errorf("%v: %v", calls, err)
		}
	}
	for _, c := range []struct{ calls, want string }{
		{"incr new", "|new"},
		{"hset new f v", "|new"},
		{"rpush new a", "|new"},
		{"sadd new a", "|new"},
		{"zadd new 1 a", "|new"},
		{"append new a", "|new"},
		{"xadd new * f v", "|new"},
		{"hsetnx new f v", "|new"},
		{"lmove old-list new left right", "|new"},
		{"set new v keepttl", "|new"},
		{"sunionstore new old-set gone", "|new"},
		{"sunionstore old-set gone old-set", "|old-set"},
		{"bitop or new old gone", "|new"},
		{"rename old new", "|new"},
		{"copy old new", "|new"},
		{"xtrim old-stream maxlen ~ 100", "|old-stream"},
		{"xadd old-stream maxlen ~ 100 * f v", "|old-stream"},
		// Made wholly, there before, or not there after.
		{"set new v", ""},
		{"set new v ex 100", ""},
		{"setex new 100 v", ""},
		{"setnx new v", ""},
		{"mset new v other w", ""},
		{"getset new v", ""},
		{"incr old", ""},
		{"hset old-hash f v", ""},
		{"rpush old-list a", ""},
		{"xadd old-stream * f v", ""},
		{"xadd old-stream maxlen = 100 * f v", ""},
		{"del new", ""},
		{"srem new a", ""},
		{"lpop new", ""},
		{"expire new 10", ""},
		{"incr old-hash", ""}, // fails
		{"sadd old a", ""},    // fails
		{"lpushx new a", ""},
		// Several in one call.
		{"incr a; incr b; incr old", "|a |b"},
		{"hset a f v; hset a g w; incr old-hash", "|a"},
		{"set a 1; incr a", ""},
		{"incr a; spop old-set", "|a"},
		{"set a 1; hset b f v; lmove old-list c left left", "|b |c"},
	} {
		for _, key := range local.Keys(r.ctx, "*").Val() {
			r.check(local.Del(r.ctx, key).Err())
		}
		r.check(local.MSet(r.ctx, "old", "1").Err())
		r.check(local.HSet(r.ctx, "old-hash", "f", "v").Err())
		r.check(local.RPush(r.ctx, "old-list", "a", "b").Err())
		r.check(local.SAdd(r.ctx, "old-set", "a", "b").Err())
		r.check(local.Do(r.ctx, "xadd", "old-stream", "1-1", "f", "v").Err())
		r.check(r.store.Client().Del(r.ctx, key, "fallback:test:mirror").Err())
		calls := strings.Split(c.calls, ";")
		run(false, calls...)
		if got := noted(); got != c.want {
			t.Errorf("%s: noted %q, want %q", c.calls, got, c.want)
		}
		// What a complete local does not have is not on the primary either, but for what it is unsure of.
		r.check(r.store.Client().Del(r.ctx, key).Err())
		r.check(r.store.Client().HSet(r.ctx, "fallback:test:mirror", "complete", "1").Err())
		r.check(r.store.Client().SAdd(r.ctx, "fallback:test:mirror:unsure", "|doubtful").Err())
		if c.calls != "incr new" {
			continue
		}
		r.check(local.Del(r.ctx, "new").Err())
		run(false, "incr new")
		run(false, "incr doubtful")
		run(false, "hset h1 f v", "hset doubtful-hash f v")
		if got := noted(); got != "|doubtful" {
			t.Errorf("on a complete local: noted %q", got)
		}
	}
	// What has run already, in a transaction: a script's keys, and what could be one of an unknown command.
	r.check(r.store.Client().Del(r.ctx, key, "fallback:test:mirror").Err())
	run(true, "eval script 2 k1 k2 arg", "unknown some thing", "hset h f v")
	if got := noted(); got != "|h |k1 |k2 |some |thing" {
		t.Errorf("after a script and an unknown command: noted %q", got)
	}
}

// Without a mirror nothing is noted.
func TestNothingIsNotedWithoutAMirror(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.store.Load(r.ctx))
	w := journal.Write{Fence: r.record().Fence(), Kind: journal.KindWrite}
	for _, args := range [][]any{{"incr", "a"}, {"hset", "b", "f", "v"}, {"lmove", "c", "d", "left", "left"}} {
		_ = r.client(r.local, 0).Do(r.ctx, r.store.Body(r.store.Args(w, []journal.Noted{r.store.Note(args)}))...)
	}
	if n := r.store.Client().Exists(r.ctx, r.store.PartialKey()).Val(); n != 0 {
		t.Error("noted all the same")
	}
}

// What the primary comes to hold otherwise than local is noted too: a stream whose entries get other ids, and
// the keys of dead letters.
func TestWhatThePrimaryHoldsOtherwiseIsNoted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.drain()
	d.Store.Mirrored(0)
	r.check(r.rdb.XAdd(r.ctx, &redis.XAddArgs{Stream: "ahead", ID: "9999999999999-0", Values: []string{"f", "v"}}).Err())
	r.check(r.rdb.Set(r.ctx, "text", "v", 0).Err())
	r.write("xadd ahead 1-1 f v")
	r.write("xadd fine 1-1 f v")
	r.write("sadd text a")
	r.write("set other v")
	if p := r.deliver(d); p.Renumbered != 1 || p.Dead != 1 {
		t.Errorf("%+v", p)
	}
	names, err := r.store.Client().SMembers(r.ctx, d.Store.PartialKey()).Result()
	r.check(err)
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "|ahead |text" {
		t.Errorf("noted %q", got)
	}
}
