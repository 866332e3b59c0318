package fallback_test

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// A Conn moves with the switch, both ways, with its SELECT and its name.
func TestConnMoves(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	conn := p.rdb.Conn()
	defer conn.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(conn.Select(ctx, 3).Err())
	must(conn.ClientSetName(ctx, "me").Err())
	must(conn.Set(ctx, "k", "primary", 0).Err())
	p.primary.Exhaust()
	must(conn.Set(ctx, "k", "local", 0).Err())
	p.serves(t, fallback.Local)
	if name, err := conn.ClientGetName(ctx).Result(); name != "me" || err != nil {
		t.Errorf("its name on local: %q, %v", name, err)
	}
	if _, err := conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "p", 1, 0)
		pipe.Select(ctx, 5)
		pipe.Set(ctx, "q", 1, 0)
		return nil
	}); err != nil {
		t.Error(err)
	}
	must(conn.Set(ctx, "r", 1, 0).Err())
	dials := p.h.Status().Local.Dials
	for range 20 {
		must(conn.Get(ctx, "r").Err())
	}
	if n := p.h.Status().Local.Dials - dials; n > 1 { // the journal's own client may need one
		t.Errorf("%d connections were made for 20 commands of a Conn", n)
	}
	must(add(p.rdb, "n", nil)) // another session, meanwhile
	if _, err := conn.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "tx")
		return nil
	}); err != nil {
		t.Error(err)
	}
	p.primary.Renew()
	p.h.Pin(fallback.Primary)
	must(conn.Set(ctx, "s", 1, 0).Err())
	if name, err := conn.ClientGetName(ctx).Result(); name != "me" || err != nil {
		t.Errorf("its name back on the primary: %q, %v", name, err)
	}
	for _, c := range []struct {
		srv *fallbacktest.Server
		db  int
		key string
	}{{p.primary, 3, "k"}, {p.local, 3, "k"}, {p.local, 3, "p"}, {p.local, 5, "q"}, {p.local, 5, "r"}, {p.local, 5, "tx"}, {p.primary, 5, "s"}, {p.local, 0, "n"}} {
		if !c.srv.Data().DB(c.db).Exists(c.key) {
			t.Errorf("%s is not in database %d of %s", c.key, c.db, c.srv)
		}
	}
	// Nothing of it is left on the pools.
	for _, on := range []fallback.Backend{fallback.Local, fallback.Primary} {
		p.h.Pin(on)
		for range 20 {
			must(p.rdb.Set(ctx, "pooled", 1, 0).Err())
		}
	}
	for _, db := range []int{3, 5} {
		if p.local.Data().DB(db).Exists("pooled") || p.primary.Data().DB(db).Exists("pooled") && false {
			t.Errorf("a pooled connection is in database %d", db)
		}
	}
}

// What a Conn is in and cannot be carried over keeps it on the primary.
func TestConnWithOtherStateStays(t *testing.T) {
	t.Parallel()
	primary, local, rdb, h := realPair(t)
	conn := rdb.EphemeralConn()
	defer conn.Close()
	if err := conn.Do(ctx, "client", "no-evict", "on").Err(); err != nil {
		t.Fatal(err)
	}
	h.Pin(fallback.Local)
	if err := conn.Set(ctx, "k", 1, 0).Err(); err != nil || local.Get(t, "k") != "" || primary.Get(t, "k") != "1" {
		t.Errorf("error %v; it must stay on the primary", err)
	}
}

// MULTI by hand, as a Conn may send it, is the Conn's own on local too.
func TestTransactionByHand(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.h.Pin(fallback.Local)
	conn := p.rdb.Conn()
	defer conn.Close()
	for _, line := range [][]any{{"watch", "k"}, {"multi"}, {"incr", "n"}} {
		if err := conn.Do(ctx, line...).Err(); err != nil {
			t.Fatalf("%v: %v", line, err)
		}
	}
	if err := p.rdb.Incr(ctx, "m").Err(); err != nil { // a stranger, meanwhile
		t.Error(err)
	}
	if v, err := conn.Do(ctx, "exec").Slice(); err != nil || len(v) != 1 || get(t, p.local, "n") != "1" || get(t, p.local, "m") != "1" {
		t.Errorf("EXEC: %v, %v", v, err)
	}
	p.noSessions(t)
	// One that is left open goes back to nobody's pool.
	for _, line := range [][]any{{"watch", "k"}, {"multi"}, {"incr", "n"}} {
		conn.Do(ctx, line...)
	}
	p.h.Pin(fallback.Primary)
	if err := conn.Do(ctx, "exec").Err(); err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
		t.Errorf("EXEC after a switch: %v", err)
	}
	p.h.Pin(fallback.Local)
	for range 10 {
		if v, err := p.rdb.Get(ctx, "n").Result(); v != "1" || err != nil {
			t.Errorf("a stranger's GET: %q, %v", v, err)
		}
	}
}

// go-redis does not tell of a Conn that is closed, or dropped.
func TestDroppedConnIsReleased(t *testing.T) {
	p := newPair(t)
	p.h.Pin(fallback.Local)
	func() {
		conn := p.rdb.Conn()
		if err := conn.Select(ctx, 3).Err(); err != nil {
			t.Fatal(err)
		}
	}()
	if n := p.h.Status().LocalSessions; n != 1 {
		t.Errorf("%d connections held, want 1", n)
	}
	eventually(t, "the connection is released", func() bool {
		runtime.GC()
		return p.h.Status().LocalSessions == 0
	})
}

func TestIdleConnIsReleased(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.rdb.Ping(ctx)
		b.h.Pin(fallback.Local)
		conn := b.rdb.Conn()
		if err := conn.Select(ctx, 3).Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if n := b.h.Status().LocalSessions; n != 0 {
			t.Errorf("%d connections held after 11 s", n)
		}
		if err := conn.Set(ctx, "k", 1, 0).Err(); err != nil || !b.local.DB(3).Exists("k") {
			t.Errorf("the Conn goes on, in its database: %v", err)
		}
		conn.Do(ctx, "watch", "k")
		time.Sleep(30 * time.Second)
		if err := conn.Do(ctx, "multi").Err(); err != nil {
			t.Errorf("half a minute after WATCH: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if err := conn.Do(ctx, "exec").Err(); err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
			t.Errorf("EXEC of a transaction that was given up: %v, want %v", err, redis.TxFailedErr)
		}
		_ = conn.Close()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if n := b.h.Status().LocalSessions; n != 0 {
			t.Errorf("%d connections held at the end", n)
		}
	})
}

// Law 4: what a transaction does to its connection of local does not stay there for a stranger.
func TestLocalsPoolGetsCleanConnectionsBack(t *testing.T) {
	t.Parallel()
	for name, soil := range map[string]func(p *pair, c *redis.Conn){
		"MULTI and a switch": func(p *pair, c *redis.Conn) {
			c.Do(ctx, "MULTI")
			c.Do(ctx, "SET", "x", 1)
			p.h.Pin(fallback.Primary)
			if err := c.Do(ctx, "EXEC").Err(); err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
				t.Errorf("EXEC: %v", err)
			}
			p.h.Pin(fallback.Local)
		},
		"SELECT": func(_ *pair, c *redis.Conn) {
			c.Do(ctx, "SELECT", 5)
			c.Do(ctx, "UNWATCH")
			c.Do(ctx, "SET", "mine", 1)
		},
		"SELECT in a pipeline": func(_ *pair, c *redis.Conn) {
			_, _ = c.Pipelined(ctx, func(pipe redis.Pipeliner) error { pipe.Select(ctx, 5); return nil })
			c.Do(ctx, "UNWATCH")
			c.Do(ctx, "SET", "mine", 1)
		},
		"SELECT in the transaction": func(_ *pair, c *redis.Conn) {
			_, _ = c.TxPipelined(ctx, func(pipe redis.Pipeliner) error { pipe.Select(ctx, 5); return nil })
			c.Do(ctx, "SET", "mine", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.h.Pin(fallback.Local)
			c := p.rdb.Conn()
			c.Do(ctx, "WATCH", "n")
			soil(p, c)
			if strings.HasPrefix(name, "SELECT") && !p.local.Data().DB(5).Exists("mine") {
				t.Error("the Conn has lost its SELECT")
			}
			_ = c.Close()
			for range 5 {
				if v, err := p.rdb.Set(ctx, "stranger", 1, 0).Result(); v != "OK" || err != nil {
					t.Fatalf("a stranger's SET: %q, %v", v, err)
				}
			}
			if get(t, p.local, "stranger") != "1" {
				t.Error("a stranger's SET went elsewhere")
			}
		})
	}
}

// Law 4: nor does the primary's pool hand out a connection on which a switch has met a MULTI by hand.
func TestMultiByHandMetByATrip(t *testing.T) {
	t.Parallel()
	for _, commands := range [][]string{{"MULTI"}, {"multi"}, {"WATCH n", "MULTI"}} {
		for _, end := range []string{"EXEC", "DISCARD", "UNWATCH"} {
			p := newPair(t)
			c := p.rdb.Conn()
			for _, command := range append(commands, "SET x 1") {
				var args []any
				for arg := range strings.FieldsSeq(command) {
					args = append(args, arg)
				}
				if err := c.Do(ctx, args...).Err(); err != nil {
					t.Fatal(err)
				}
			}
			p.primary.Exhaust()
			p.h.Pin(fallback.Local)
			if err := c.Do(ctx, end).Err(); end == "EXEC" && err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
				t.Errorf("EXEC: %v", err)
			}
			_ = c.Close()
			p.primary.Renew()
			p.h.Pin(fallback.Primary)
			if v, err := p.rdb.Set(ctx, "stranger", 1, 0).Result(); v != "OK" || err != nil {
				t.Errorf("%v, %s: a stranger's SET: %q, %v", commands, end, v, err)
			}
		}
	}
}

// A Conn does not outlive its connection. That is go-redis' own, and says nothing of the primary.
func TestADeadConnCountsForNobody(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	c := p.rdb.Conn()
	defer c.Close()
	c.Ping(ctx)
	p.primary.Cut()
	for range 5 {
		if err := c.Incr(ctx, "n").Err(); !errors.Is(err, io.EOF) {
			t.Errorf("on a connection that has ended: %v, want EOF", err)
		}
	}
	p.serves(t, fallback.Primary)
	p.h.Pin(fallback.Local)
	if n, err := c.Incr(ctx, "n").Result(); n != 1 || err != nil {
		t.Errorf("while local serves: %d, %v", n, err)
	}
}
