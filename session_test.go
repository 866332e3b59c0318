package fallback_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// add increments a counter by compare-and-set, once.
func add(rdb redis.UniversalClient, key string, between func(*redis.Tx) error) error {
	return rdb.Watch(ctx, func(tx *redis.Tx) error {
		n, err := tx.Get(ctx, key).Int()
		if err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
			return err
		}
		if between != nil {
			if err := between(tx); err != nil {
				return err
			}
		}
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, key, n+1, 0)
			return nil
		})
		return err
	}, key)
}

func (p *pair) noSessions(t *testing.T) {
	t.Helper()
	if n := p.h.Status().LocalSessions; n != 0 {
		t.Errorf("%d connections of local are still held", n)
	}
}

// A WATCH that was left behind on a pooled connection makes a stranger's transaction fail.
func noWatchLeft(t *testing.T, rdb redis.UniversalClient, s *fallbacktest.Server, key string) {
	t.Helper()
	for range 20 {
		_ = s.Data().Set(key, "moved")
		if _, err := rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, "stranger", 1, 0)
			return nil
		}); err != nil {
			t.Errorf("the transaction of a stranger: %v", err)
			return
		}
	}
}

// Law 4: a transaction that begins while local serves runs there, on one connection.
func TestWatchBegunOnLocal(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.primary.Exhaust()
	for range 3 { // the first one trips, by its WATCH
		if err := add(p.rdb, "n", nil); err != nil {
			t.Fatal(err)
		}
	}
	p.serves(t, fallback.Local)
	if n := get(t, p.local, "n"); n != "3" {
		t.Errorf("n is %q on local, want 3", n)
	}
	err := add(p.rdb, "n", func(*redis.Tx) error { return p.local.Data().Set("n", "7") })
	if err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
		t.Errorf("somebody came between: %v, want %v", err, redis.TxFailedErr)
	}
	p.noSessions(t)
	noWatchLeft(t, p.rdb, p.local, "n")
}

// Law 4: a switch in the middle fails the transaction, and its loop begins again where it is served.
func TestWatchMetByATrip(t *testing.T) {
	t.Parallel()
	for name, hit := range map[string]func(*pair){
		"all refused":   func(p *pair) { p.primary.Exhaust() },
		"EXEC refused":  func(p *pair) { p.primary.RefuseOnly("EXEC", fallbacktest.ReplyRequests) },
		"MULTI refused": func(p *pair) { p.primary.Exhaust(); p.primary.RefuseOnly("MULTI", fallbacktest.ReplyRequests) },
		"elsewhere":     func(p *pair) { p.primary.Exhaust(); p.rdb.Get(ctx, "other"); p.primary.Renew() },
		"pinned":        func(p *pair) { p.h.Pin(fallback.Local) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.rdb.Set(ctx, "n", 1, 0)
			err := add(p.rdb, "n", func(*redis.Tx) error { hit(p); return nil })
			if err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
				t.Fatalf("error %v, want %v", err, redis.TxFailedErr)
			}
			p.serves(t, fallback.Local)
			if n := get(t, p.primary, "n"); n != "1" {
				t.Errorf("n is %q on the primary, want 1", n)
			}
			if err := add(p.rdb, "n", nil); err != nil || get(t, p.local, "n") != "1" {
				t.Errorf("again: %v; n is %q on local, want 1", err, get(t, p.local, "n"))
			}
			p.noSessions(t)
			p.primary.Renew()
			p.h.Pin(fallback.Primary)
			noWatchLeft(t, p.rdb, p.primary, "n")
		})
	}
}

// Law 4: what was watched before a switch is not watched after it, so a further WATCH fails.
func TestFurtherWatchAfterASwitch(t *testing.T) {
	t.Parallel()
	for from, to := range map[fallback.Backend]fallback.Backend{fallback.Primary: fallback.Local, fallback.Local: fallback.Primary} {
		p := newPair(t)
		p.h.Pin(from)
		p.rdb.Set(ctx, "n", 1, 0)
		err := add(p.rdb, "n", func(tx *redis.Tx) error {
			p.h.Pin(to)
			if err := tx.Watch(ctx, "other").Err(); err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
				t.Errorf("from %v, a further WATCH: %v, want %v", from, err, redis.TxFailedErr)
			}
			return nil
		})
		if err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
			t.Errorf("from %v: %v, want %v", from, err, redis.TxFailedErr)
		}
		c := p.rdb.Conn()
		c.Do(ctx, "WATCH", "n")
		p.h.Pin(from)
		if err := c.Do(ctx, "WATCH", "n").Err(); err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
			t.Errorf("a Conn's second WATCH: %v, want %v", err, redis.TxFailedErr)
		}
		if err := c.Do(ctx, "WATCH", "n").Err(); err != nil {
			t.Errorf("and its loop begins again: %v", err)
		}
		_ = c.Close()
	}
}

func TestWatchMetByAReturn(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.h.Pin(fallback.Local)
	err := add(p.rdb, "n", func(tx *redis.Tx) error {
		p.h.Pin(fallback.Primary)
		if err := tx.Get(ctx, "other").Err(); err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
			t.Errorf("a read after the return: %v", err)
		}
		return nil // a careless caller goes on
	})
	if err != redis.TxFailedErr || p.local.Data().Exists("n") || p.primary.Data().Exists("n") { //nolint:errorlint // as go-redis returns it
		t.Errorf("error %v; on local %v, on the primary %v", err, p.local.Data().Exists("n"), p.primary.Data().Exists("n"))
	}
	p.noSessions(t)
	noWatchLeft(t, p.rdb, p.primary, "n")
	p.h.Pin(fallback.Local)
	noWatchLeft(t, p.rdb, p.local, "n")
}

// Law 4: an EXEC that may have run is its own error, and is never sent again.
func TestExecLost(t *testing.T) {
	t.Parallel()
	for _, on := range []fallback.Backend{fallback.Primary, fallback.Local} {
		t.Run(on.String(), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.h.Pin(on)
			srv := p.primary
			if on == fallback.Local {
				srv = p.local
			}
			p.rdb.Ping(ctx)
			srv.LoseReply("EXEC", 1)
			err := add(p.rdb, "n", nil)
			if !errors.Is(err, io.EOF) {
				t.Errorf("error %v, want EOF: it may have run", err)
			}
			if n := get(t, srv, "n"); n != "1" {
				t.Errorf("n is %q, want 1: EXEC ran once", n)
			}
			p.noSessions(t)
		})
	}
}

// Law 4: an EXEC that provably was never written is a failed transaction. What was watched went with
// the connection.
func TestExecNeverWritten(t *testing.T) {
	t.Parallel()
	p := pairOf(t, fallbacktest.Run(t, fallbacktest.WithTLS()), fallbacktest.Run(t), nil)
	p.rdb.Set(ctx, "n", 1, 0)
	err := add(p.rdb, "n", func(*redis.Tx) error {
		p.primary.Cut()
		time.Sleep(20 * time.Millisecond) // until the end has come through
		return nil
	})
	if err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
		t.Errorf("error %v, want %v", err, redis.TxFailedErr)
	}
	if err := add(p.rdb, "n", nil); err != nil || get(t, p.primary, "n") != "2" {
		t.Errorf("again: %v", err)
	}
}

func TestWatchReleases(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	exec := func(tx *redis.Tx, args ...any) error {
		_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Do(ctx, args...)
			return nil
		})
		return err
	}
	for name, c := range map[string]struct {
		fn   func(context.CancelFunc, *redis.Tx) error
		want func(error) bool
	}{
		"error":     {func(context.CancelFunc, *redis.Tx) error { return boom }, func(err error) bool { return errors.Is(err, boom) }},
		"panic":     {func(context.CancelFunc, *redis.Tx) error { panic(boom) }, func(err error) bool { return errors.Is(err, boom) }},
		"cancelled": {func(cancel context.CancelFunc, tx *redis.Tx) error { cancel(); return tx.Get(ctx, "n").Err() }, func(err error) bool { return err == redis.Nil }}, //nolint:errorlint // as it comes
		"unwatch":   {func(_ context.CancelFunc, tx *redis.Tx) error { return tx.Unwatch(ctx).Err() }, func(err error) bool { return err == nil }},
		"aborted":   {func(_ context.CancelFunc, tx *redis.Tx) error { return exec(tx, "get") }, redis.IsExecAbortError},
		"two execs": {func(_ context.CancelFunc, tx *redis.Tx) error {
			return errors.Join(exec(tx, "set", "a", 1), exec(tx, "set", "b", 1), tx.Set(ctx, "c", 1, 0).Err())
		}, func(err error) bool { return err == nil }},
		"two watches": {func(_ context.CancelFunc, tx *redis.Tx) error {
			return errors.Join(tx.Watch(ctx, "m").Err(), exec(tx, "set", "a", 1))
		}, func(err error) bool { return err == nil }},
	} {
		for _, on := range []fallback.Backend{fallback.Primary, fallback.Local} {
			t.Run(name+" on "+on.String(), func(t *testing.T) {
				t.Parallel()
				p := newPair(t)
				p.h.Pin(on)
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				err := func() (err error) {
					defer func() {
						if r := recover(); r != nil {
							err = r.(error)
						}
					}()
					return p.rdb.Watch(ctx, func(tx *redis.Tx) error { return c.fn(cancel, tx) }, "n")
				}()
				if !c.want(err) {
					t.Errorf("error %v", err)
				}
				p.noSessions(t)
				srv := map[fallback.Backend]*fallbacktest.Server{fallback.Primary: p.primary, fallback.Local: p.local}[on]
				noWatchLeft(t, p.rdb, srv, "n")
			})
		}
	}
}

// Law 4: what was watched goes with its connection, so a block whose connection ends before EXEC was sent
// begins again, also where nothing has switched yet, or is yet to.
func TestWatchWhoseConnectionEnds(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.Set(ctx, "n", 1, 0)
	for name, end := range map[string]func(){"cut": p.primary.Cut, "killed": p.primary.Stop} {
		err := add(p.rdb, "n", func(tx *redis.Tx) error {
			end()
			return tx.Get(ctx, "n").Err()
		})
		if err != redis.TxFailedErr { //nolint:errorlint // as go-redis returns it
			t.Errorf("%s: %v, want %v", name, err, redis.TxFailedErr)
		}
		p.primary.Stop()
		_ = p.primary.Restart()
	}
	p.primary.Stop()
	for tries := 0; ; tries++ {
		err := add(p.rdb, "n", nil)
		if err == nil {
			break
		}
		if err != redis.TxFailedErr || tries > 100 { //nolint:errorlint // as go-redis returns it
			t.Fatalf("try %d: %v", tries, err)
		}
	}
	if p.serves(t, fallback.Local); get(t, p.local, "n") != "1" {
		t.Errorf("n is %q on local, want 1", get(t, p.local, "n"))
	}
}

// Law 2 under a WATCH: a write whose reply was lost may have run. The block must not begin again, which
// would read what it wrote, also where the write alone is harmless twice.
func TestAWriteLostUnderWatch(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*redis.Tx) error{
		"alone": func(tx *redis.Tx) error { return tx.Set(ctx, "side", 1, 0).Err() },
		"in a pipeline": func(tx *redis.Tx) error {
			_, err := tx.Pipelined(ctx, func(pipe redis.Pipeliner) error { return pipe.Set(ctx, "side", 1, 0).Err() })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.rdb.Ping(ctx)
			p.primary.LoseReply("SET", 1)
			if err := add(p.rdb, "n", write); !errors.Is(err, io.EOF) || get(t, p.primary, "side") != "1" {
				t.Errorf("error %v, want EOF; side is %q", err, get(t, p.primary, "side"))
			}
		})
	}
}
