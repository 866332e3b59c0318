package fallback_test

import (
	"context"
	"errors"
	"net"
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
		b.h = fallback.New(back, append([]fallback.Option{cold(), fallback.WithLogger(b.log.logger())}, opts...)...)
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
