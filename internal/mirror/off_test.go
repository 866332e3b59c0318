package mirror_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// is waits until a mirror is off, for a reason that says this, or on for "".
func (r *rig) is(m *mirror.Mirror, off string) {
	r.tb.Helper()
	r.until("the mirror is off: "+off, func() bool {
		why := m.Off()
		return (why == "") == (off == "") && strings.Contains(why, off)
	})
}

func (r *rig) lines() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.logs)
}

func TestAnEmptyLocalIsJustBegun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror0()
	r.check(m.Ready(r.ctx))
	write(m, set("first", "1"))
	r.flush(m)
	r.wants("first", "1")
	if s := m.Stats(); r.lines() != 0 || s.Emptied != 0 || s.Deleted != 0 {
		t.Errorf("%q, %+v", r.logs, s)
	}
}

func TestWhatNoMirrorPutOnLocalStaysThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.home.MSet(r.ctx, "theirs", "1", "too", "2").Err())
	m := r.mirror0()
	if err := m.Ready(r.ctx); !errors.Is(err, mirror.ErrOff) {
		t.Error(err)
	}
	r.is(m, "database 0 holds 2 keys")
	if c := m.Begin([]any{"set", "theirs", "2"}, ""); c != (mirror.Call{}) {
		t.Errorf("%+v", c)
	}
	write(m, set("theirs", "2"))
	write(m, set("ours", "2"))
	m.Doubt("", "theirs")
	if err := m.Flush(r.ctx); !errors.Is(err, mirror.ErrOff) {
		t.Error(err)
	}
	loaded, err := m.Load(r.ctx, []mirror.Item{{Key: "theirs", Absent: true}})
	if err != nil || loaded[0] != mirror.Fenced {
		t.Error(loaded, err)
	}
	r.check(r.home.Del(r.ctx, "too").Err())
	r.is(m, "holds 1 key that")
	r.wants("theirs", "1", "ours", "")
	if s := m.Stats(); r.lines() != 1 || s.Queued+s.Names+s.Sent+s.Emptied != 0 {
		t.Errorf("%q, %+v", r.logs, s)
	}
	r.check(r.home.FlushDB(r.ctx).Err())
	r.is(m, "")
	r.settle(m)
	write(m, set("ours", "3"))
	r.flush(m)
	r.wants("ours", "3")
	if n := r.ours.HLen(r.ctx, "fallback:test:mirror:off").Val(); n != 0 {
		t.Errorf("%d processes are off still", n)
	}
}

// A call that began while the mirror was off, and ended after that, may have changed what was read since.
func TestACallFromBeforeTheMirrorWasOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.home.Set(r.ctx, "theirs", "1", 0).Err())
	m := r.mirror0()
	r.is(m, "holds")
	late := set("k", "late")
	c := m.Begin(late.Args(), "")
	r.check(r.home.FlushDB(r.ctx).Err())
	r.is(m, "")
	r.settle(m)
	write(m, set("k", "1"))
	r.flush(m)
	r.wants("k", "1")
	m.Done(c, "", late)
	r.flush(m)
	r.wants("k", "")
}

// Processes whose mirror is off are waited for before anything counts, and one that was not finds out.
func TestLocalIsAdopted(t *testing.T) {
	t.Parallel()
	r, primary := newRig(t), redistest.Start(t)
	p := client(t, primary, 0)
	r.check(r.home.MSet(r.ctx, "theirs", "1", "k", "old").Err())
	r.check(client(t, r.local, 3).Set(r.ctx, "theirs", "1", 0).Err())
	r.check(client(t, primary, 3).Set(r.ctx, "k", "3", 0).Err())
	r.check(p.MSet(r.ctx, "k", "1", "n", "1").Err())
	a, b := r.mirror0(), r.mirror0()
	r.is(a, "holds")
	r.is(b, "holds")
	late := r.ours.HSet(r.ctx, "fallback:test:mirror:off", "asleep", "1")
	r.check(late.Err())
	c := &mirror.Copier{Primary: p, Local: r.ours, Mirror: a, Name: "test", Database: 15}
	cost, err := c.Cost(r.ctx, mirror.SyncOptions{})
	if err != nil || cost.Held != 3 {
		t.Errorf("%v, %+v", err, cost)
	}
	if _, err := c.Sync(r.ctx, mirror.SyncOptions{Match: "k*"}); !errors.Is(err, mirror.ErrOff) {
		t.Errorf("a part of the keys: %v", err)
	}
	r.wants("theirs", "1", "k", "old")
	report, err := c.Sync(r.ctx, mirror.SyncOptions{})
	if err != nil || !report.Complete || report.Held != 3 || report.Copied != 3 {
		t.Fatalf("%v, %+v", err, report)
	}
	if b.Off() != "" {
		t.Errorf("the other process: %s", b.Off())
	}
	r.wants("theirs", "", "k", "1", "n", "1")
	if got, err := everything(r.ctx, client(t, r.local, 3)); err != nil || len(got) != 1 {
		t.Errorf("database 3: %v, %v", got, err)
	}
	r.settle(b)
	write(b, incr("n", 2))
	r.flush(b)
	r.wants("n", "2")
}

func TestAProcessThatWasNotWaitedForIsNoticed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.home.Set(r.ctx, "theirs", "1", 0).Err())
	a, b := r.mirror0(), r.mirror0(func(c *mirror.Config) { c.Timing.Beat = 3e9 })
	r.is(a, "holds")
	r.is(b, "holds")
	r.check(a.Adopt(r.ctx)) // b's beat is later than its death
	if b.Off() == "" {
		t.Fatal("it was waited for")
	}
	r.settle(a)
	write(a, set("k", "1"))
	r.flush(a)
	r.wants("k", "1")
	r.is(b, "")
	r.flush(b)
	r.wants("k", "")
}

// Keys of a database that the program SELECTs are left alone as well.
func TestADatabaseOfOthersStaysAsItIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	three := client(t, r.local, 3)
	r.check(three.Set(r.ctx, "theirs", "1", 0).Err())
	m := r.mirror()
	in3 := func(cmd redis.Cmder) {
		m.Done(m.Begin(cmd.Args(), "3"), "3", cmd)
		r.flush(m)
	}
	in3(set("theirs", "2"))
	in3(set("k", "2"))
	in3(acked(redis.NewStatusCmd(r.ctx, "flushdb"), "OK"))
	in3(acked(redis.NewStatusCmd(r.ctx, "flushall"), "OK"))
	if got, err := everything(r.ctx, three); err != nil || len(got) != 1 || got["theirs"] != "string 1" {
		t.Errorf("%v, %v", got, err)
	}
	r.check(three.FlushDB(r.ctx).Err())
	r.until("the database is mirrored to", func() bool {
		in3(set("k", "3"))
		return three.Get(r.ctx, "k").Val() == "3"
	})
}

// Two services on one database of local would empty it over each other.
func TestAnotherServicesMirrorIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	write(m, set("k", "1"))
	r.flush(m)
	r.check(r.ours.Set(r.ctx, "fallback:other service:fence", "id 1 primary", 0).Err())
	named := func(c *mirror.Config) { c.Name = "other service" }
	other := r.mirror0(named)
	r.is(other, `the mirror of the service "test"`)
	if err := other.Adopt(r.ctx); !errors.Is(err, mirror.ErrOff) || !strings.Contains(err.Error(), "database of local of its own") {
		t.Errorf("adopted: %v", err)
	}
	r.check(r.ours.Set(r.ctx, "fallback:third:fence", "id 1 primary", 0).Err())
	elsewhere := r.mirror0(func(c *mirror.Config) { c.Name, c.Home = "third", 4 })
	r.flush(elsewhere)
	r.check(m.Close(r.ctx))
	r.is(other, "holds 1 key") // of which it knows nothing
	r.wants("k", "1")
	r.check(other.Adopt(r.ctx))
	r.wants("k", "")
	again := r.mirror0()
	r.is(again, `"other service"`)
	if s := elsewhere.Off(); s != "" {
		t.Error(s)
	}
}

// A mirror whose owner is older than a day may be taken, and who wakes up after that finds that out.
func TestAMirrorThatWasGivenUpIsTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror(func(c *mirror.Config) { c.Timing.Beat = 2e9 })
	r.check(r.ours.HSet(r.ctx, "fallback:mirrors", "0", "1000 test").Err())
	r.check(r.ours.Set(r.ctx, "fallback:other:fence", "id 1 primary", 0).Err())
	other := r.mirror0(func(c *mirror.Config) { c.Name = "other" })
	r.flush(other)
	write(m, set("k", "1"))
	if err := m.Flush(r.ctx); !errors.Is(err, mirror.ErrOff) {
		t.Errorf("%v, %s", err, m.Off())
	}
	r.wants("k", "")
}
