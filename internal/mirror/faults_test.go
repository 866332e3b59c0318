package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func TestPastTheBoundsKeysAreUnsure(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*mirror.Config){
		"bytes":      func(c *mirror.Config) { c.Bytes = 8 * 4096 },
		"operations": func(c *mirror.Config) { c.Ops = 8 * 10 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := r.mirror(change)
			for i := range 1000 {
				write(m, set(fmt.Sprintf("k%d", i), "old"))
				if i%20 == 0 {
					r.flush(m)
				}
			}
			r.flush(m)
			before := m.Stats()
			r.local.Hang()
			for i := range 1000 {
				write(m, set(fmt.Sprintf("k%d", i), strings.Repeat("new", 30)))
			}
			r.local.Resume()
			r.flush(m)
			s := m.Stats()
			if s.Dropped == before.Dropped || s.Queued != 0 || s.Bytes != 0 || s.Names != 0 {
				t.Errorf("%+v", s)
			}
			all, err := everything(r.ctx, r.home)
			r.check(err)
			for key, v := range all {
				if strings.Contains(v, "old") {
					t.Fatalf("%s is old", key)
				}
			}
		})
	}
}

// cut is a connection that is lost before the reply to what was written is read.
type cut struct {
	net.Conn
	armed *atomic.Bool
}

func (c cut) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.armed.CompareAndSwap(true, false) {
		_ = c.Close()
		return 0, errors.New("cut")
	}
	return n, err
}

func TestALostReplyMakesItsKeysUnsure(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var armed atomic.Bool
	m := r.mirror(func(c *mirror.Config) {
		opts := options(r.local.Addr(), 15)
		opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return cut{conn, &armed}, err
		}
		c.RDB = redis.NewClient(opts)
		c.Timing.Beat = time.Hour // the next reply is that of the batch
		t.Cleanup(func() { _ = c.RDB.Close() })
	})
	write(m, incr("n", 1))
	write(m, set("n", "1"))
	write(m, set("other", "1"))
	r.flush(m)
	armed.Store(true)
	write(m, incr("n", 2))
	r.flush(m)
	r.wants("n", "", "other", "1")
	if s := m.Stats(); s.Lost != 1 || s.Emptied != 0 {
		t.Errorf("%+v", s)
	}
	write(m, set("n", "3"))
	r.flush(m)
	r.wants("n", "3")
}

func TestNothingIsMirroredWhileThePrimaryDoesNotServe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	write(m, set("a", "1"))
	write(m, set("b", "1"))
	r.flush(m)
	began := m.Begin(set("b", "2").Args(), "")
	r.serve("")
	m.Switch()
	write(m, set("a", "2"))
	ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
	defer cancel()
	if err := m.Flush(ctx); !errors.Is(err, mirror.ErrFenced) {
		t.Errorf("Flush: %v", err)
	}
	r.wants("a", "1", "b", "1")
	r.check(r.home.Set(r.ctx, "half", "1", 0).Err())
	r.check(r.ours.SAdd(r.ctx, "fallback:test:partial", "|half").Err())
	r.serve("id 2 primary")
	m.Switch()
	m.Done(began, "", set("b", "2"))
	r.flush(m)
	r.wants("a", "", "b", "", "half", "")
	write(m, set("a", "3"))
	r.flush(m)
	r.settle(m)
	write(m, set("a", "4"))
	r.flush(m)
	r.wants("a", "4")
}

func TestAProcessThatLocalKnowsBetterHearsOfIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var told atomic.Int64
	m := r.mirror(func(c *mirror.Config) { c.Fenced = func() { told.Add(1) } })
	r.check(r.ours.Set(r.ctx, fenceKey, "id 7 local", 0).Err())
	write(m, set("a", "1"))
	r.until("it was told", func() bool { return told.Load() > 0 })
	r.wants("a", "")
}

func TestAFullLocalIsGivenKeysNoMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	write(m, set("a", "1"))
	r.flush(m)
	r.check(r.ours.ConfigSet(r.ctx, "maxmemory", "1500000").Err())
	r.until("the mirror stops", func() bool { return m.Stats().Stopped })
	write(m, set("a", "2"))
	write(m, set("b", "2"))
	r.flush(m)
	r.wants("a", "", "b", "")
	r.check(r.ours.ConfigSet(r.ctx, "maxmemory", "0").Err())
	r.until("the mirror goes on", func() bool { return !m.Stats().Stopped })
	write(m, set("a", "3"))
	r.flush(m)
	r.wants("a", "3")
}

func TestMemoryThatIsFull(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror(func(c *mirror.Config) { c.Timing.Beat = time.Hour }) // only a batch finds out
	write(m, set("a", "1"))
	r.flush(m)
	r.check(r.ours.ConfigSet(r.ctx, "maxmemory", "1").Err())
	write(m, set("a", "2"))
	write(m, set("b", "2"))
	r.flush(m)
	r.wants("a", "", "b", "")
	if !m.Stats().Stopped {
		t.Error("the mirror goes on")
	}
}

func TestALostCallIsUnsureUntilItHasEnded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror(func(c *mirror.Config) { c.Timing.Lost = time.Second })
	write(m, set("a", "1"))
	r.flush(m)
	c := m.Begin(set("a", "2").Args(), "")
	m.Lost(c, "", set("a", "2"))
	write(m, set("a", "3"))
	r.flush(m)
	r.wants("a", "")
	r.until("a write is in order again", func() bool {
		write(m, set("a", "4"))
		r.flush(m)
		return r.local.Get(t, "a") == "4"
	})
}

func TestFilterDoubtRenameAndOtherDatabases(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror(func(c *mirror.Config) { c.Filter = func(key string) bool { return !strings.HasPrefix(key, "no:") } })
	write(m, set("no:a", "1"))
	write(m, set("a", "1"))
	write(m, set("b", "1"))
	write(m, set("from", "1"))
	r.flush(m)
	m.Doubt("0", "a")
	write(m, acked(redis.NewStatusCmd(r.ctx, "rename", "from", "to"), "OK"))
	c := m.Begin(set("b", "3").Args(), "3")
	m.Done(c, "3", set("b", "3"))
	r.flush(m)
	// What was renamed may lack what is still underway from elsewhere.
	r.wants("no:a", "", "a", "", "b", "1", "from", "", "to", "")
	if got := client(t, r.local, 3).Get(r.ctx, "b").Val(); got != "3" {
		t.Errorf("b of database 3 is %q", got)
	}
	// Local has no such database, and that one is not the user's.
	for _, db := range []string{"99", "15"} {
		m.Done(m.Begin(set("b", "4").Args(), db), db, set("b", "4"))
	}
	r.flush(m)
	r.wants("b", "1")
	if n := r.ours.Exists(r.ctx, "b").Val(); n != 0 || m.Stats().Failed != 2 {
		t.Errorf("a key of a database that is not there is in ours: %d, %+v", n, m.Stats())
	}
	m.Nothing(m.Begin(set("b", "2").Args(), ""))
	r.check(m.Close(r.ctx))
	if n := r.ours.HLen(r.ctx, "fallback:test:mirror:processes").Val(); n != 0 {
		t.Error("it has not left")
	}
}

// Not parallel: it counts all goroutines.
func TestNoGoroutineIsLeft(t *testing.T) { //nolint:paralleltest
	s := redistest.Start(t)
	rdb := redis.NewClient(options(s.Addr(), 15))
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(rdb.Set(t.Context(), fenceKey, "id 1 primary", 0).Err())
	before := runtime.NumGoroutine()
	m := mirror.New(mirror.Config{RDB: rdb, Name: "test", Database: 15, Process: "p", Fence: func() string { return "id 1 primary" }})
	m.Start()
	write(m, set("a", "1"))
	check(m.Flush(t.Context()))
	if n := runtime.NumGoroutine() - before; n > 2 {
		t.Errorf("%d goroutines", n)
	}
	check(m.Close(t.Context()))
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines are left", runtime.NumGoroutine()-before)
		}
	}
}

// Keys may come to be held otherwise than on the primary at any time: a dead letter that is sent again.
func TestKeysThatLocalHoldsOtherwiseGoAtTheNextBeat(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cold := make(chan string, 10)
	m := r.mirror(func(c *mirror.Config) {
		c.Timing.Beat = 20 * time.Millisecond
		c.Cold = func(db, key string) { cold <- db + "|" + key }
	})
	write(m, set("a", "1"))
	write(m, set("b", "1"))
	r.flush(m)
	r.wants("a", "1", "b", "1")
	r.check(r.ours.SAdd(r.ctx, "fallback:test:partial", "|a").Err())
	r.until("the key is gone", func() bool { return r.home.Exists(r.ctx, "a").Val() == 0 })
	r.wants("a", "", "b", "1")
	for name := range cold {
		if name == "|a" {
			break
		}
	}
}
