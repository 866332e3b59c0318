package fallback_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis/go-redis/v9"
)

// process is what one program is of several that share a local.
type process struct {
	rdb, back *redis.Client
	h         *fallback.Hook
	log       *lines
	stop      func()
}

type server interface{ Options() *redis.Options }

func newProcess(t *testing.T, primary, local server, opts ...fallback.Option) *process {
	t.Helper()
	p := &process{rdb: redis.NewClient(primary.Options()), back: redis.NewClient(local.Options()), log: &lines{}}
	p.h = fallback.New(p.back, append([]fallback.Option{cold(), fallback.WithLogger(p.log.logger())}, opts...)...)
	p.rdb.AddHook(p.h)
	p.stop = sync.OnceFunc(func() {
		_ = p.h.Shutdown(ctx)
		_, _ = p.rdb.Close(), p.back.Close()
	})
	t.Cleanup(p.stop)
	return p
}

func two(t *testing.T, opts ...fallback.Option) (primary, local *fallbacktest.Server, a, b *process) {
	t.Helper()
	primary, local = fallbacktest.Run(t), fallbacktest.Run(t)
	a, b = newProcess(t, primary, local, opts...), newProcess(t, primary, local, opts...)
	for _, p := range []*process{a, b} { // they know the record
		if err := p.rdb.Ping(ctx).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return primary, local, a, b
}

func serves(b fallback.Backend, all ...*process) func() bool {
	return func() bool {
		for _, p := range all {
			if p.h.Serving() != b {
				return false
			}
		}
		return true
	}
}

// The trip of one process is the trip of all, and so is the return; each says so once.
func TestSwitchesAreShared(t *testing.T) {
	t.Parallel()
	primary, local, a, b := two(t, quick())
	primary.Exhaust()
	if err := a.rdb.Incr(ctx, "n").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trip of the other", serves(fallback.Local, a, b))
	refused := primary.Refused()
	if n, err := b.rdb.Incr(ctx, "n").Result(); n != 2 || err != nil {
		t.Errorf("the other process: %d, %v", n, err)
	}
	st := b.h.Status()
	if st.Refused != 0 || st.Reason != fallback.ReasonQuota || st.Cause != a.h.Status().Cause || primary.Refused() < refused {
		t.Errorf("the other process was not refused itself; status %+v", st)
	}
	var limit *fallback.LimitError
	if err := b.rdb.Get(fallback.PrimaryOnly(ctx), "n").Err(); !errors.As(err, &limit) || limit.Limit != 500000 {
		t.Errorf("what it keeps from local: %v, want the refusal that the first has met", err)
	}
	primary.Renew()
	eventually(t, "the return of both", serves(fallback.Primary, a, b))
	if number(t, primary, "n") != 2 || number(t, local, "n") != 2 {
		t.Errorf("n is %d on the primary", number(t, primary, "n"))
	}
	for i, p := range []*process{a, b} {
		if st := p.h.Status(); st.Trips != 1 || st.Returns != 1 || st.Epoch != 2 {
			t.Errorf("process %d: %d trips, %d returns, epoch %d", i, st.Trips, st.Returns, st.Epoch)
		}
	}
}

// A pin holds for all, and whoever comes later.
func TestPinsAreShared(t *testing.T) {
	t.Parallel()
	primary, local, a, b := two(t, quick())
	if err := a.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other's pin", func() bool { return b.h.Status().Pinned && b.h.Serving() == fallback.Local })
	if err := b.h.Probe(ctx); err != nil || b.h.Serving() != fallback.Local {
		t.Errorf("a good probe (%v) ended a pin", err)
	}
	c := newProcess(t, primary, local)
	if n, err := c.rdb.Incr(ctx, "n").Result(); n != 1 || err != nil || local.Count("INCR") != 1 {
		t.Errorf("the first command of a process that comes later: %d, %v", n, err)
	}
	if err := b.h.Pin(fallback.Primary); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the return", serves(fallback.Primary, a, b, c))
	primary.Exhaust()
	if err := a.rdb.Incr(ctx, "n").Err(); err == nil || a.h.Serving() != fallback.Primary {
		t.Errorf("a pinned primary that refuses: %v; %v serves", err, a.h.Serving())
	}
	if err := c.h.Unpin(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the pin", func() bool { return !a.h.Status().Pinned })
	if n, err := a.rdb.Incr(ctx, "n").Result(); n != 2 || err != nil {
		t.Errorf("after Unpin: %d, %v", n, err)
	}
	eventually(t, "the trip", serves(fallback.Local, a, b, c))
}

// A process that has not heard of a switch is fenced on local, and goes where the record says: nothing
// that it was told is done is lost, in single calls, pipelines, transactions and Watch.
func TestWhoHasNotHeardIsFenced(t *testing.T) {
	t.Parallel()
	for name, count := range map[string]func(rdb *redis.Client) error{
		"INCR": func(rdb *redis.Client) error { return rdb.Incr(ctx, "n").Err() },
		"EVAL": func(rdb *redis.Client) error {
			return rdb.Eval(ctx, "return redis.call('INCR', KEYS[1])", []string{"n"}).Err()
		},
		"a pipeline": func(rdb *redis.Client) error { _, err := rdb.Pipelined(ctx, queue([][]any{{"incr", "n"}})); return err },
		"a transaction": func(rdb *redis.Client) error {
			_, err := rdb.TxPipelined(ctx, queue([][]any{{"incr", "n"}}))
			return err
		},
		"Watch": func(rdb *redis.Client) error {
			for {
				if err := add(rdb, "n", nil); !errors.Is(err, redis.TxFailedErr) {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
			local.RefuseOnly("SUBSCRIBE", "ERR not here") // so that a change is heard of at the next look
			a, deaf := newProcess(t, primary, local), newProcess(t, primary, local)
			late := 0
			for round := range 5 {
				if err := a.h.Pin(fallback.Local); err != nil {
					t.Fatal(err)
				}
				if err := deaf.h.Pin(fallback.Local); err != nil { // it knows that
					t.Fatal(err)
				}
				if err := count(deaf.rdb); err != nil {
					t.Fatalf("round %d on local: %v", round, err)
				}
				before := number(t, local, "n")
				if err := a.h.Pin(fallback.Primary); err != nil || a.h.Serving() != fallback.Primary {
					t.Fatalf("round %d: %v", round, err)
				}
				if deaf.h.Serving() == fallback.Local {
					late++
				}
				if err := count(deaf.rdb); err != nil {
					t.Fatalf("round %d after the return: %v", round, err)
				}
				if number(t, local, "n") != before {
					t.Fatalf("round %d: a write with an old epoch was made on local", round)
				}
				if deaf.h.Serving() != fallback.Primary {
					t.Errorf("round %d: it was fenced, and %v serves", round, deaf.h.Serving())
				}
			}
			if late == 0 {
				t.Error("it has heard of every switch: this shows nothing")
			}
			if n := number(t, primary, "n"); name != "Watch" && n != 10 {
				t.Errorf("n is %d on the primary, want 10", n)
			}
		})
	}
}

// Several processes count while the service switches, by refusals and by hand: whatever any of them was
// told is done is on the primary after the last return, once.
func TestProcessesCountAcrossSwitches(t *testing.T) {
	t.Parallel()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	fast := fallback.WithHealth(health.Config{
		Hold: 20 * time.Millisecond, MaxHold: 20 * time.Millisecond, Cooldown: 20 * time.Millisecond, Every: time.Millisecond,
	})
	var all []*process
	for range 3 {
		all = append(all, newProcess(t, primary, local, fast))
	}
	var done atomic.Int64
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for _, p := range all {
		for range 2 {
			workers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if err := p.rdb.Incr(ctx, "n").Err(); err == nil {
						done.Add(1)
					} else if _, ok := errors.AsType[*fallback.LimitError](err); !ok {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	for round := range 6 {
		by := all[round%len(all)].h
		primary.Exhaust()
		eventually(t, "the trip", func() bool { return by.Serving() == fallback.Local })
		primary.Renew()
		eventually(t, fmt.Sprint("return ", round), serves(fallback.Primary, all...))
	}
	close(stop)
	workers.Wait()
	eventually(t, "the last return", serves(fallback.Primary, all...))
	if n := number(t, primary, "n"); int64(n) != done.Load() {
		t.Errorf("%d INCR were acknowledged, n is %d on the primary, %d on local", done.Load(), n, number(t, local, "n"))
	}
}

// A process whose local is gone for long goes on with the primary; what local holds is delivered when it
// is back, and the processes agree again.
func TestLocalComesBack(t *testing.T) {
	t.Parallel()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	p := newProcess(t, primary, local, quick(), fallback.WithLocalCheck(10*time.Millisecond),
		fallback.WithJournal(fallback.JournalConfig{Patience: 50 * time.Millisecond}))
	primary.Exhaust()
	for range 3 {
		if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
			t.Fatal(err)
		}
	}
	local.Stop()
	primary.Renew()
	eventually(t, "going on without local", func() bool {
		_ = p.rdb.Get(ctx, "n").Err()
		return p.h.Serving() == fallback.Primary
	})
	if n, err := p.rdb.Incr(ctx, "n").Result(); n != 1 || err != nil {
		t.Errorf("on the primary alone: %d, %v", n, err)
	}
	if err := local.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the delivery", func() bool { return number(t, primary, "n") == 4 })
	primary.Exhaust()
	eventually(t, "the next trip", func() bool { return p.rdb.Incr(ctx, "n").Err() == nil && p.h.Serving() == fallback.Local })
}

// When local is back and the primary refuses its journal, local serves: that is what the record says.
func TestLocalComesBackAndThePrimaryRefuses(t *testing.T) {
	t.Parallel()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	p := newProcess(t, primary, local, quick(), fallback.WithLocalCheck(10*time.Millisecond),
		fallback.WithJournal(fallback.JournalConfig{Patience: 50 * time.Millisecond}))
	primary.Exhaust()
	if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
		t.Fatal(err)
	}
	local.Stop()
	primary.Renew()
	eventually(t, "going on without local", func() bool {
		_ = p.rdb.Get(ctx, "n").Err()
		return p.h.Serving() == fallback.Primary
	})
	primary.RefuseOnly("EXEC", fallbacktest.ReplyRequests)
	if err := local.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "local to serve", func() bool { return p.h.Serving() == fallback.Local })
	if n, err := p.rdb.Incr(ctx, "n").Result(); n != 2 || err != nil {
		t.Errorf("on local: %d, %v", n, err)
	}
	primary.Renew()
	eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary && number(t, primary, "n") == 2 })
}

// Shutdown leaves no goroutine and no connection of the hook's own.
func TestShutdownLeavesNothing(t *testing.T) {
	for _, b := range []fallback.Backend{fallback.Primary, fallback.Local} {
		primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
		p := newProcess(t, primary, local, quick(), withMirror())
		p.rdb.Ping(ctx)
		for _, b := range []fallback.Backend{fallback.Local, fallback.Primary, b} {
			if err := p.h.Pin(b); err != nil {
				t.Fatal(err)
			}
			p.rdb.Eval(ctx, putScript, []string{"k"}, 1)
		}
		if err := p.h.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := p.rdb.Eval(ctx, putScript, []string{"k"}, 1).Err(); err != nil || p.h.Serving() != b {
				t.Errorf("after Shutdown, while %v serves: %v", b, err)
			}
		}
		if b == fallback.Primary {
			_ = p.back.Close()
			eventually(t, "the end of all connections to local", func() bool { return local.Connections() == 0 })
		}
		eventually(t, "no goroutine", func() bool { return ours() == 0 })
	}
}
