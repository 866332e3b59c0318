package mirror_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis/go-redis/v9"
)

// A database has one order, and one name among what is unsure, whether the program SELECTs it or not.
func TestTheHomeDatabaseHasTwoNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	in := func(db string, cmd redis.Cmder) { m.Done(m.Begin(cmd.Args(), db), db, cmd) }
	r.complete(m)
	early := set("k", "early")
	c := m.Begin(early.Args(), "0")
	in("", set("k", "late"))
	m.Done(c, "0", early)
	r.flush(m)
	if r.wants("k", ""); !r.isUnsure("k") {
		t.Error("two calls at once, of one key by two names, and it is not unsure")
	}
	r.until("a write is in order again", func() bool {
		in("0", set("k", "1"))
		r.flush(m)
		return r.home.Exists(r.ctx, "k").Val() == 1
	})
	if r.isUnsure("k") {
		t.Error("it is unsure still")
	}
	in("0", set("other", "1"))
	m.Doubt("0", "k")
	r.flush(m)
	if !r.isUnsure("k") {
		t.Error("it is not unsure")
	}
	r.check(r.ours.SAdd(r.ctx, "fallback:test:partial", "0|other").Err())
	r.serve("id 3 primary")
	r.flush(m)
	if r.wants("other", ""); !r.isUnsure("other") {
		t.Error("what was begun while local served is not unsure")
	}
	if n := r.ours.SCard(r.ctx, "fallback:test:mirror:dbs").Val(); n != 0 {
		t.Errorf("%d other databases", n)
	}
	h := mirror.NewHydrator(mirror.HydrateConfig{Copier: &mirror.Copier{}})
	h.Touch("0", "k")
	h.Touch("", "k")
	if n := h.Stats().Waiting; n != 1 {
		t.Errorf("%d keys wait to be read", n)
	}
}

func TestThePayloadOfAModule(t *testing.T) {
	t.Parallel()
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for _, name := range []string{"TSDB-TYPE", "ReJSON-RL", "MBbloom--"} {
		id := uint64(3)
		for i := range name {
			id |= uint64(strings.IndexByte(letters, name[i])) << (64 - 6*(i+1)) //nolint:gosec // six bits
		}
		payload := string(binary.BigEndian.AppendUint64([]byte{7, 0x81}, id)) + "and more"
		if got := mirror.ModuleOf(payload); got != name {
			t.Errorf("%s is %q", name, got)
		}
	}
	r := newCopyRig(t)
	r.fill(r.primary)
	for _, key := range r.primary.Keys(r.ctx, "*").Val() {
		if got := mirror.ModuleOf(r.primary.Dump(r.ctx, key).Val()); got != "" {
			t.Errorf("%q is %q", key, got)
		}
	}
}
