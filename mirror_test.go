package fallback_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// mirrorsNow waits until a write of this program is on local at once: until then it may be unsure.
func mirrorsNow(t *testing.T, rdb *redis.Client, local *redistest.Server) {
	t.Helper()
	n := 0
	eventually(t, "a mirrored write", func() bool {
		n++
		if err := rdb.Set(ctx, "mirrored", n, 0).Err(); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if local.Get(t, "mirrored") == fmt.Sprint(n) {
				return true
			}
			time.Sleep(time.Millisecond)
		}
		return false
	})
}

// warm waits until local holds all that the primary holds in a database, and nothing else.
func warm(t *testing.T, primary, local *redis.Client, db int) {
	t.Helper()
	var want, got map[string]content
	same := func(a, b content) bool {
		return slices.Equal(a.value, b.value) && (a.left < 0) == (b.left < 0) && b.left <= a.left+2*time.Second
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		want, got = contents(t, primary, db), contents(t, local, db)
		if maps.EqualFunc(want, got, same) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("database %d on local is %v, on the primary %v", db, got, want)
		}
		time.Sleep(time.Millisecond)
	}
}

// What the primary acknowledged is on local, whichever way it was written.
func TestEveryWayOfWritingIsMirrored(t *testing.T) {
	t.Parallel()
	lines := [][]any{
		{"set", "s", "v"},
		{"incr", "n"},
		{"del", "h"},
		{"hset", "h", "f", "v"},
		{"rpush", "l", "a", "b"},
		{"lpop", "l"},
		{"set", "e", "v", "ex", 1000},
		{"expire", "h", 1000},
		{"del", "x"},
		{"xadd", "x", "*", "f", "v"},
		{"mset", "a", 1, "b", 2},
		{"sadd", "gone", "m"},
		{"del", "gone"},
	}
	for name, way := range map[string]func(rdb *redis.Client) error{
		"single": func(rdb *redis.Client) error {
			for _, line := range lines {
				if err := rdb.Do(ctx, line...).Err(); err != nil {
					return err
				}
			}
			return nil
		},
		"a pipeline":    func(rdb *redis.Client) error { _, err := rdb.Pipelined(ctx, queue(lines)); return err },
		"a transaction": func(rdb *redis.Client) error { _, err := rdb.TxPipelined(ctx, queue(lines)); return err },
		"Watch": func(rdb *redis.Client) error {
			return rdb.Watch(ctx, func(tx *redis.Tx) error {
				if err := tx.Set(ctx, "outside", 1, 0).Err(); err != nil {
					return err
				}
				_, err := tx.TxPipelined(ctx, queue(lines))
				return err
			}, "n")
		},
		"a Conn": func(rdb *redis.Client) error {
			conn := rdb.Conn()
			defer conn.Close()
			for _, line := range lines {
				if err := conn.Do(ctx, line...).Err(); err != nil {
					return err
				}
			}
			_, err := conn.Pipelined(ctx, queue([][]any{{"set", "c", 1}}))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRealServers(t, withMirror())
			mirrorsNow(t, s.rdb, s.local)
			// Of keys that are nowhere Partial operations know nothing before that was said.
			for _, key := range []string{"n", "l", "x", "h"} {
				s.rdb.Del(ctx, key)
			}
			if err := way(s.rdb); err != nil {
				t.Fatal(err)
			}
			warm(t, s.primary.Client(t), s.back, 0)
			if st := s.h.Status().Mirror; !st.On || st.Off != "" || st.Mirrored == 0 || st.Emptied != 0 || strings.Contains(s.log.String(), "emptied") {
				t.Errorf("%+v\n%s", st, s.log)
			}
		})
	}
}

// A database that was SELECTed is that database on local.
func TestSelectedDatabasesAreMirrored(t *testing.T) {
	t.Parallel()
	s := newRealServers(t, withMirror())
	mirrorsNow(t, s.rdb, s.local)
	conn := s.rdb.Conn()
	defer conn.Close()
	for i, db := range []int{3, 0, 4} {
		if err := conn.Select(ctx, db).Err(); err != nil {
			t.Fatal(err)
		}
		conn.Set(ctx, "k", i, 0)
	}
	if _, err := conn.Pipelined(ctx, queue([][]any{{"set", "p", 4}, {"select", 3}, {"set", "p", 3}, {"select", 0}})); err != nil {
		t.Fatal(err)
	}
	p := s.primary.Client(t)
	for _, db := range []int{0, 3, 4} {
		warm(t, p, s.back, db)
	}
}

// What is in the replies of an EXEC by hand, or what a script did, nobody knows: the keys are absent.
func TestWhatIsNotKnownIsAbsentOnLocal(t *testing.T) {
	t.Parallel()
	s := newRealServers(t, fallback.WithMirror(fallback.MirrorConfig{Hydration: -1}))
	mirrorsNow(t, s.rdb, s.local)
	for _, key := range []string{"hand", "script", "kept"} {
		s.rdb.Set(ctx, key, "before", 0)
	}
	warm(t, s.primary.Client(t), s.back, 0)
	conn := s.rdb.Conn()
	defer conn.Close()
	for _, line := range [][]any{{"multi"}, {"set", "hand", "after"}, {"exec"}} {
		if err := conn.Do(ctx, line...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.rdb.Eval(ctx, putScript, []string{"script"}, "after").Err(); err != nil {
		t.Fatal(err)
	}
	for _, line := range [][]any{{"multi"}, {"set", "kept", "after"}, {"discard"}} {
		if err := conn.Do(ctx, line...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "unsure keys are absent", func() bool { return s.local.Get(t, "hand")+s.local.Get(t, "script") == "" })
	if v := s.local.Get(t, "kept"); v != "before" {
		t.Errorf("what was discarded: %q", v)
	}
}

// A lost reply may be of a call that ran; one that was refused did not run, and changes nothing.
func TestWhatWasLostOrRefusedOnThePrimary(t *testing.T) {
	t.Parallel()
	primary, local := fallbacktest.Run(t), redistest.Start(t)
	p := newProcess(t, primary, local, fallback.WithMirror(fallback.MirrorConfig{Hydration: -1}))
	mirrorsNow(t, p.rdb, local)
	for _, key := range []string{"lost", "refused", "wrong"} {
		p.rdb.Set(ctx, key, 1, 0)
	}
	eventually(t, "the mirror", func() bool { return local.Get(t, "wrong") == "1" })
	if err := p.rdb.LPush(ctx, "wrong", 1).Err(); err == nil {
		t.Error("a list in a string")
	}
	primary.RefuseOnly("APPEND", "OOM command not allowed when used memory > 'maxmemory'.")
	if err := p.rdb.Append(ctx, "refused", "2").Err(); err == nil {
		t.Error("it was not refused")
	}
	primary.LoseReply("INCR", 1)
	if err := p.rdb.Incr(ctx, "lost").Err(); err == nil {
		t.Error("it was not lost")
	}
	eventually(t, "the lost key is absent", func() bool { return local.Get(t, "lost") == "" })
	if a, b := local.Get(t, "refused"), local.Get(t, "wrong"); a != "1" || b != "1" {
		t.Errorf("what did not run has changed local: %q, %q", a, b)
	}
}

func TestTheMirrorIsSwitchedOff(t *testing.T) {
	t.Parallel()
	s := newRealServers(t, fallback.WithMirror(fallback.MirrorConfig{Bytes: -1}))
	for range 50 {
		s.rdb.Set(ctx, "k", "v", 0)
	}
	if st := s.h.Status().Mirror; st.On || st.Off == "" {
		t.Errorf("%+v", st)
	}
	if err := s.h.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if v := s.local.Get(t, "k"); v != "" {
		t.Errorf("local holds %q", v)
	}
}

func TestTheMirrorsFilter(t *testing.T) {
	t.Parallel()
	s := newRealServers(t, fallback.WithMirror(fallback.MirrorConfig{Filter: func(key string) bool { return !strings.HasPrefix(key, "secret") }}))
	mirrorsNow(t, s.rdb, s.local)
	s.rdb.MSet(ctx, "secret", 1, "plain", 1)
	s.rdb.Set(ctx, "last", 1, 0)
	eventually(t, "the others", func() bool { return s.local.Get(t, "plain")+s.local.Get(t, "last") == "11" })
	if v := s.local.Get(t, "secret"); v != "" {
		t.Errorf("local holds %q", v)
	}
}

// What no mirror put on local is left alone, until a Sync makes local the mirror.
func TestTheMirrorLeavesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	s := newRealServers(t, withMirror())
	if err := s.back.Set(ctx, "theirs", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		s.rdb.Set(ctx, "k", i, 0)
	}
	eventually(t, "it says so", func() bool {
		return strings.Contains(s.h.Status().Mirror.Off, "holds 1 key that no mirror put there") && strings.Contains(s.log.String(), "nothing is mirrored")
	})
	log := s.log.String()
	if s.h.Status().Mirror.On || strings.Count(log, "nothing is mirrored") != 1 || strings.Contains(log, "redis fallback: redis fallback") {
		t.Errorf("%+v\n%s", s.h.Status().Mirror, log)
	}
	if a, b := s.local.Get(t, "theirs"), s.local.Get(t, "k"); a != "1" || b != "" {
		t.Errorf("local was touched: %q, %q", a, b)
	}
	if _, err := s.h.Sync(ctx, fallback.SyncOptions{Match: "k"}); !errors.Is(err, fallback.ErrNoMirror) {
		t.Errorf("of some keys: %v", err)
	}
	r, err := s.h.Sync(ctx, fallback.SyncOptions{})
	if err != nil || r.Held != 1 || !r.Complete {
		t.Errorf("%v, %+v", err, r)
	}
	if st := s.h.Status().Mirror; !st.On || st.Off != "" {
		t.Errorf("%+v", st)
	}
	mirrorsNow(t, s.rdb, s.local)
	warm(t, s.primary.Client(t), s.back, 0)
}

// Of two services on one database of local the first has the mirror.
func TestTwoServicesOnOneLocal(t *testing.T) {
	t.Parallel()
	s := newRealServers(t, withMirror())
	mirrorsNow(t, s.rdb, s.local)
	other := newProcess(t, redistest.Start(t), s.local, withMirror(), fallback.WithName("other"))
	other.rdb.Set(ctx, "k", "other", 0)
	eventually(t, "it says so", func() bool { return strings.Contains(other.h.Status().Mirror.Off, `service "upstash"`) })
	if _, err := other.h.Sync(ctx, fallback.SyncOptions{}); !errors.Is(err, fallback.ErrNoMirror) {
		t.Errorf("Sync: %v", err)
	}
	mirrorsNow(t, s.rdb, s.local)
	warm(t, s.primary.Client(t), s.back, 0)
}
