package fallback_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// bubble is a program in fake time: both servers live on pipes.
type bubble struct {
	primary, local *miniredis.Miniredis
	rdb            *redis.Client
	h              *fallback.Hook
	dials          atomic.Int64
	gone           atomic.Bool // dials to the primary are refused
	log            *lines
}

func inBubble(t *testing.T, test func(*testing.T, *bubble), opts ...fallback.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{primary: miniredis.NewMiniRedis(), local: miniredis.NewMiniRedis(), log: &lines{}}
		client := func(m *miniredis.Miniredis, dials *atomic.Int64) *redis.Client {
			return redis.NewClient(&redis.Options{
				Dialer: func(context.Context, string, string) (net.Conn, error) {
					dials.Add(1)
					if m == b.primary && b.gone.Load() {
						return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
					}
					return m.Dial()
				},
				MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			})
		}
		b.rdb = client(b.primary, &b.dials)
		back := client(b.local, &atomic.Int64{})
		b.h = fallback.New(back, append([]fallback.Option{fallback.WithLogger(b.log.logger())}, opts...)...)
		b.rdb.AddHook(b.h)
		defer func() {
			_ = b.h.Shutdown(ctx)
			_ = b.rdb.Close()
			_ = back.Close()
			b.primary.Close()
			b.local.Close()
		}()
		test(t, b)
	})
}

func (b *bubble) exhaust() { b.primary.SetError(fallbacktest.ReplyRequests) }
func (b *bubble) renew()   { b.primary.SetError("") }

func TestQuotaHold(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.rdb.Ping(ctx)
		b.exhaust()
		began := time.Now()
		if err := b.rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if in := b.h.Status().NextProbe.Sub(began); in < 5*time.Minute || in > 6*time.Minute {
			t.Fatalf("first probe in %v, want 5 min and a little", in)
		}
		asked := b.primary.CommandCount()
		for range 299 {
			time.Sleep(time.Second)
			if err := b.rdb.Get(ctx, "k").Err(); err != nil {
				t.Fatal(err)
			}
		}
		if n := b.primary.CommandCount(); n != asked {
			t.Errorf("the primary was asked %d commands while its hold lasted", n-asked)
		}
		time.Sleep(time.Hour)
		first := b.h.Status().NextProbe
		if in := time.Until(first); in > time.Hour {
			t.Errorf("next probe in %v: the hold grew beyond an hour", in)
		}
		b.renew()
		time.Sleep(time.Until(first) + time.Second)
		if st := b.h.Status(); st.Serving != fallback.Local || st.GoodProbes != 1 {
			t.Fatalf("after one good probe: %+v", st)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if b.h.Serving() != fallback.Primary {
			t.Errorf("after three good probes, 5 s apart: %+v", b.h.Status())
		}
	})
}

// Refused dials cost the first call five of them, 100 ms apart, and the next ones nothing. go-redis
// alone would dial twenty times.
func TestRefusedDialsEndTheLoopsOfGoRedis(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.gone.Store(true)
		for i, want := range []time.Duration{400 * time.Millisecond, 0} {
			began := time.Now()
			if err := b.rdb.Set(ctx, "k", i, 0).Err(); err != nil {
				t.Fatalf("%v after %v; %+v", err, time.Since(began), b.h.Status())
			}
			if took := time.Since(began); took != want {
				t.Errorf("call %d took %v, want %v", i+1, took, want)
			}
		}
		if n := b.dials.Load(); n != 5 {
			t.Errorf("%d dials, want 5", n)
		}
		time.Sleep(10 * time.Minute) // looked at each minute, by one probe
		if n := b.dials.Load() - 5; n < 9 || n > 60 {
			t.Errorf("%d dials in ten minutes of outage, want those of the probes", n)
		}
		b.gone.Store(false)
		time.Sleep(75 * time.Second)
		synctest.Wait()
		if b.h.Serving() != fallback.Primary {
			t.Errorf("75 s after the outage: %+v", b.h.Status())
		}
		if err := b.rdb.Incr(ctx, "n").Err(); err != nil || !b.primary.Exists("n") {
			t.Errorf("after the return: %v", err)
		}
	})
}

func TestPin(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		b.h.Pin(fallback.Primary)
		b.exhaust()
		var limit *fallback.LimitError
		if err := b.rdb.Get(ctx, "k").Err(); !errors.As(err, &limit) || b.h.Serving() != fallback.Primary {
			t.Errorf("pinned to the primary and over quota: %v", err)
		}
		b.h.Pin(fallback.Local)
		b.renew()
		time.Sleep(24 * time.Hour)
		if err := b.rdb.Set(ctx, "k", 1, 0).Err(); err != nil || b.h.Serving() != fallback.Local || !b.local.Exists("k") {
			t.Errorf("pinned to local: %v", err)
		}
		if err := b.rdb.Get(fallback.PrimaryOnly(ctx), "k").Err(); !errors.Is(err, fallback.ErrPinned) {
			t.Errorf("primary only while pinned to local: %v", err)
		}
		b.h.Unpin()
		b.h.Unpin()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if b.h.Serving() != fallback.Primary {
			t.Errorf("11 s after Unpin: %+v", b.h.Status())
		}
	})
}

func TestProbeByHandCounts(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *bubble) {
		if err := b.h.Probe(ctx); err != nil {
			t.Errorf("a probe while the primary serves: %v", err)
		}
		b.exhaust()
		b.rdb.Get(ctx, "k")
		var limit *fallback.LimitError
		if err := b.h.Probe(ctx); !errors.As(err, &limit) && (err == nil || err.Error() != fallbacktest.ReplyRequests) {
			t.Errorf("a probe over quota: %v", err)
		}
		b.renew()
		for range 3 {
			if err := b.h.Probe(ctx); err != nil {
				t.Error(err)
			}
		}
		if b.h.Serving() != fallback.Primary {
			t.Errorf("after three good probes by hand: %+v", b.h.Status())
		}
	})
}

// A function of WithOnSwitch may panic or block, and harms nothing.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var seen []fallback.Backend
	var h atomic.Pointer[fallback.Hook]
	p := newPair(
		t,
		fallback.WithOnSwitch(func(fallback.Event) { panic("callback") }),
		fallback.WithOnSwitch(func(e fallback.Event) {
			<-release
			seen = append(seen, e.To)
			h.Load().Status() // may call back into the hook
		}),
	)
	h.Store(p.h)
	for range 3 {
		p.h.Pin(fallback.Local)
		p.h.Pin(fallback.Primary)
	}
	if err := p.rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Errorf("a command while a callback blocks: %v", err)
	}
	soon, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := p.h.Shutdown(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown with a blocked callback: %v", err)
	}
	close(release)
	if err := p.h.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	for i, to := range seen {
		if want := fallback.Backend(1 - i%2); to != want {
			t.Fatalf("event %d leads to %v, want %v: out of order", i, to, want)
		}
	}
	if len(seen) != 6 || !strings.Contains(p.log.String(), "panicked") {
		t.Errorf("%d events of 6; log:\n%s", len(seen), p.log)
	}
}

// A primary that refuses every third command neither runs anything twice nor makes the hook flap.
func TestPartialEnforcementDoesNotFlap(t *testing.T) {
	t.Parallel()
	p := newPair(t, quick())
	p.primary.Exhaust()
	p.primary.Every(3)
	for i := range 300 {
		if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
			t.Fatalf("INCR %d: %v", i+1, err)
		}
		if i%10 == 0 {
			time.Sleep(2 * time.Millisecond) // so that probes have their turn
		}
	}
	st := p.h.Status()
	if st.Trips != 1 || st.Returns != 0 {
		t.Errorf("%d trips and %d returns, want 1 and 0", st.Trips, st.Returns)
	}
	if n, m := get(t, p.primary, "n"), get(t, p.local, "n"); n != "2" || m != "298" {
		t.Errorf("n is %s on the primary and %s on local, want 2 and 298", n, m)
	}
}

func TestPrimaryOnly(t *testing.T) {
	t.Parallel()
	p := newPair(t, fallback.WithPrimaryOnly(func(cmd redis.Cmder) bool {
		args := cmd.Args()
		return len(args) > 1 && strings.HasPrefix(args[1].(string), "lock:")
	}))
	p.primary.Exhaust()
	var limit *fallback.LimitError
	if err := p.rdb.SetNX(ctx, "lock:a", 1, 0).Err(); !errors.As(err, &limit) { // trips
		t.Errorf("SETNX that trips: %v", err)
	}
	p.serves(t, fallback.Local)
	refused := p.primary.Refused()
	if err := p.rdb.SetNX(ctx, "lock:a", 1, 0).Err(); !errors.As(err, &limit) {
		t.Errorf("SETNX while local serves: %v, want the stored refusal", err)
	}
	if err := p.rdb.Incr(fallback.PrimaryOnly(ctx), "n").Err(); !errors.As(err, &limit) {
		t.Errorf("INCR of a PrimaryOnly context: %v, want the stored refusal", err)
	}
	cmds, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "a", 1, 0)
		pipe.Set(ctx, "lock:b", 1, 0)
		pipe.Set(ctx, "c", 1, 0)
		return nil
	})
	if !errors.As(err, &limit) || cmds[0].Err() != nil || !errors.As(cmds[1].Err(), &limit) || cmds[2].Err() != nil {
		t.Errorf("a pipeline with one: %v; %v %v %v", err, cmds[0].Err(), cmds[1].Err(), cmds[2].Err())
	}
	cmds, err = p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "d", 1, 0)
		pipe.Set(ctx, "lock:e", 1, 0)
		return nil
	})
	if !errors.As(err, &limit) || !errors.As(cmds[0].Err(), &limit) {
		t.Errorf("a transaction with one: %v", err)
	}
	for _, key := range []string{"lock:a", "lock:b", "n", "d", "lock:e"} {
		if p.local.Data().Exists(key) {
			t.Errorf("%s is on local", key)
		}
	}
	if n := p.primary.Refused(); n != refused {
		t.Errorf("%d calls to the primary, want none", n-refused)
	}
	if n := p.h.Status().Withheld; n != 6 {
		t.Errorf("%d withheld, want 6", n)
	}
}

// What belongs to one server or connection stays on the primary.
func TestAdministrationAndSessionsStay(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.primary.Exhaust()
	p.rdb.Incr(ctx, "n")
	p.serves(t, fallback.Local)
	before := p.local.Commands()
	var limit *fallback.LimitError
	for _, args := range [][]any{{"replicaof", "no", "one"}, {"shutdown"}, {"acl", "whoami"}, {"watch", "k"}, {"debug", "sleep", "0"}} {
		if err := p.rdb.Do(ctx, args...).Err(); !errors.As(err, &limit) {
			t.Errorf("%v: %v, want the primary's refusal", args, err)
		}
	}
	err := p.rdb.Watch(ctx, func(tx *redis.Tx) error { return tx.Get(ctx, "k").Err() }, "k")
	if !errors.As(err, &limit) {
		t.Errorf("Watch while local serves: %v, want the stored refusal", err)
	}
	if n := p.local.Commands(); n != before {
		t.Errorf("local executed %d commands of these", n-before)
	}
	conn := p.rdb.Conn()
	defer conn.Close()
	if err := conn.Select(ctx, 3).Err(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Set(ctx, "k", 1, 0).Err(); !errors.As(err, &limit) || p.local.Data().Exists("k") {
		t.Errorf("a Conn in another database: %v, want the primary's refusal and nothing on local", err)
	}
}

// A Watch that has begun on the primary ends there.
func TestWatchIsNotMixed(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.Set(ctx, "n", 1, 0)
	var limit *fallback.LimitError
	err := p.rdb.Watch(ctx, func(tx *redis.Tx) error {
		if err := tx.Get(ctx, "n").Err(); err != nil {
			return err
		}
		p.primary.Exhaust()
		_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Incr(ctx, "n")
			return nil
		})
		return err
	}, "n")
	if !errors.As(err, &limit) || get(t, p.local, "n") != "" || get(t, p.primary, "n") != "1" {
		t.Errorf("EXEC refused: %v; n on local %q", err, get(t, p.local, "n"))
	}
	p.serves(t, fallback.Local)
}

func TestNewPanicsOnNil(t *testing.T) {
	t.Parallel()
	for _, local := range []redis.UniversalClient{nil, (*redis.Client)(nil)} {
		func() {
			defer func() {
				if p, ok := recover().(string); !ok || !strings.Contains(p, "local is nil") {
					t.Errorf("recovered %v, want a sentence", p)
				}
			}()
			fallback.New(local)
		}()
	}
}

func TestSameServerTwice(t *testing.T) {
	t.Parallel()
	srv := fallbacktest.Run(t)
	p := pairOf(t, srv, srv, nil)
	p.rdb.Ping(ctx)
	srv.Exhaust()
	var limit *fallback.LimitError
	if err := p.rdb.Get(ctx, "k").Err(); !errors.As(err, &limit) {
		t.Errorf("error %v", err)
	}
	if st := p.h.Status(); !st.SameServer || st.Serving != fallback.Primary || strings.Count(p.log.String(), "same server") != 1 {
		t.Errorf("status %+v; log:\n%s", st, p.log)
	}
}

// Two clients of one primary may share a hook, and then share its state.
func TestHookOnTwoClients(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	second := redis.NewClient(p.primary.Options())
	defer second.Close()
	second.AddHook(p.h)
	p.primary.Exhaust()
	if err := p.rdb.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if v, err := second.Get(ctx, "k").Result(); v != "v" || err != nil {
		t.Errorf("the second client: %q, %v", v, err)
	}
	if n := p.primary.Refused(); n != 1 {
		t.Errorf("%d refusals, want 1: the second client knows of the trip", n)
	}
}

// Added twice to one client it costs twice, and does nothing twice.
func TestHookAddedTwice(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.AddHook(p.h)
	p.primary.Quota(1)
	for i := range 3 {
		if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
			t.Fatalf("INCR %d: %v", i+1, err)
		}
	}
	if n, m := get(t, p.primary, "n"), get(t, p.local, "n"); n != "1" || m != "2" {
		t.Errorf("n is %s on the primary and %s on local, want 1 and 2", n, m)
	}
}

func TestWithRepeatable(t *testing.T) {
	t.Parallel()
	p := newPair(t, fallback.WithRepeatable(func(cmd redis.Cmder) bool { return cmd.Name() == "sadd" }))
	p.primary.LoseReply("SADD", 1)
	if err := p.rdb.SAdd(ctx, "s", "m").Err(); err != nil {
		t.Errorf("a SADD that may run twice: %v", err)
	}
	p.primary.LoseReply("SREM", 1)
	if err := p.rdb.SRem(ctx, "s", "m").Err(); err == nil {
		t.Error("a lost SREM was repeated, though nobody said that it may")
	}
}

// slow keeps the first INCR back, and then answers it with a refusal.
type slow struct {
	builders
	reached, release chan struct{}
	first            atomic.Bool
}

func (s *slow) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "incr" || s.first.Swap(true) {
			return next(ctx, cmd)
		}
		close(s.reached)
		<-s.release
		return reply(fallbacktest.ReplyRequests)
	}
}

// A refusal that arrives after the service has gone to local and come back says nothing of now.
func TestALateRefusalDoesNotTripAgain(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	s := &slow{reached: make(chan struct{}), release: make(chan struct{})}
	p.rdb.AddHook(s) // below ours
	done := make(chan error, 1)
	go func() { done <- p.rdb.Incr(ctx, "n").Err() }()
	<-s.reached
	p.h.Pin(fallback.Local)
	p.h.Pin(fallback.Primary)
	p.h.Unpin()
	close(s.release)
	if err := <-done; err != nil {
		t.Errorf("INCR: %v", err)
	}
	p.serves(t, fallback.Primary)
	if get(t, p.primary, "n") != "1" || p.h.Status().Trips != 0 {
		t.Errorf("n on the primary is %q after %d trips, want 1 and none", get(t, p.primary, "n"), p.h.Status().Trips)
	}
}
