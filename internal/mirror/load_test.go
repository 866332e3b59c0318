package mirror_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	r, primary := newRig(t), client(t, redistest.Start(t), 0)
	m := r.mirror()
	read := func(key string) mirror.Item {
		began := time.Now()
		dump, err := primary.Dump(r.ctx, key).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		ttl := max(primary.PTTL(r.ctx, key).Val(), 0)
		return mirror.Item{Key: key, Dump: dump, TTL: ttl, Began: began, Ended: time.Now(), Absent: dump == ""}
	}
	load := func(want mirror.Loaded, it mirror.Item) {
		t.Helper()
		got, err := m.Load(r.ctx, []mirror.Item{it})
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, %v; want %v", it.Key, got, err, want)
		}
	}
	w := writer{primary, m}
	r.check(primary.HSet(r.ctx, "h", "a", 1).Err()) // unknown to the mirror
	r.check(primary.Expire(r.ctx, "h", time.Hour).Err())
	w.do(r.ctx, "hset", "h", "b", 2)
	r.flush(m)
	r.wants("h", "")
	load(mirror.Taken, read("h"))
	w.do(r.ctx, "hset", "h", "c", 3)
	r.flush(m)
	if got := r.home.HGetAll(r.ctx, "h").Val(); len(got) != 3 {
		t.Errorf("h is %v", got)
	}
	if d := primary.PTTL(r.ctx, "h").Val() - r.home.PTTL(r.ctx, "h").Val(); d < -time.Second || d > 0 {
		t.Errorf("it expires %s apart", d)
	}

	old := read("h")
	w.do(r.ctx, "hset", "h", "d", 4)
	r.flush(m)
	load(mirror.Newer, old)
	if got := r.home.HLen(r.ctx, "h").Val(); got != 4 {
		t.Errorf("an old copy was loaded over %d fields", got)
	}

	// What is still queued and was in the copy already does not run twice.
	r.local.Hang()
	w.do(r.ctx, "rpush", "l", "a")
	w.do(r.ctx, "rpush", "l", "b")
	item := read("l")
	r.local.Resume()
	load(mirror.Taken, item)
	r.flush(m)
	if got := r.home.LRange(r.ctx, "l", 0, -1).Val(); len(got) != 2 {
		t.Errorf("l is %v", got)
	}

	// A write while the key is read.
	item = read("l")
	w.do(r.ctx, "rpush", "l", "c")
	item.Ended = time.Now()
	r.flush(m)
	load(mirror.Newer, item)

	item = read("h")
	item.Dump = "no dump"
	load(mirror.Refused, item)
	if r.home.HLen(r.ctx, "h").Val() != 4 {
		t.Error("what local refused has taken away what was there")
	}
	item = read("no such key")
	load(mirror.Taken, item)
	w.do(r.ctx, "hset", "no such key", "f", 1)
	r.flush(m)
	if r.home.HLen(r.ctx, "no such key").Val() != 1 {
		t.Error("a key that was known to be absent is not made")
	}

	began := time.Now()
	big := mirror.Item{Key: "big", Commands: [][]string{{"rpush", "big", "1", "2"}, {"rpush", "big", "3"}}, TTL: time.Hour, Began: began, Ended: time.Now()}
	load(mirror.Taken, big)
	if got := r.home.LLen(r.ctx, "big").Val(); got != 3 || r.home.TTL(r.ctx, "big").Val() <= 0 {
		t.Errorf("made by commands, it has %d elements", got)
	}
	big.Key, big.Commands = "bad", [][]string{{"rpush", "bad", "1"}, {"hset", "bad", "1", "2"}}
	load(mirror.Refused, big)
	r.wants("bad", "")

	item = read("h")
	r.serve("id 2 primary")
	m.Switch()
	load(mirror.Fenced, item)
	r.flush(m)
	load(mirror.Fenced, item) // read before
	item = read("h")
	load(mirror.Taken, item)
	item.Began = time.Now().Add(-time.Minute)
	load(mirror.Fenced, item)
}

func TestCompleteEndsWhenSomethingIsMissed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	if done, err := m.Complete(r.ctx); done || err != nil {
		t.Fatalf("complete without having tracked: %t, %v", done, err)
	}
	track := func() {
		t.Helper()
		if done, err := m.Track(r.ctx); !done || err != nil {
			t.Fatalf("Track: %t, %v", done, err)
		}
	}
	track()
	write(m, hset("cold", "f", "v"))
	m.Doubt("", "a")
	r.flush(m)
	if n := r.ours.SCard(r.ctx, m.UnsureKey()).Val(); n != 2 {
		t.Errorf("%d keys are unsure", n)
	}
	if done, err := m.Complete(r.ctx); !done || err != nil || !m.Stats().Complete {
		t.Fatalf("Complete: %t, %v", done, err)
	}
	write(m, hset("new", "f", "v"))
	r.flush(m)
	if r.home.Exists(r.ctx, "new").Val() != 1 || r.home.Exists(r.ctx, "cold").Val() != 0 {
		t.Error("what is absent there is not made, or what is unsure is")
	}
	track()
	write(m, acked(redis.NewStatusCmd(r.ctx, "flushdb"), "OK"))
	r.flush(m)
	if done, err := m.Complete(r.ctx); done || err != nil {
		t.Errorf("Complete after a flush: %t, %v", done, err)
	}
}
