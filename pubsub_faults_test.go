package fallback_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// A connection that is cut while its server lives is made anew, and what was said on local meanwhile
// is not missed.
func TestSubscriberIsCut(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	ps := p.rdb.Subscribe(ctx, "c")
	defer ps.Close()
	confirmed(t, ps)
	ch := ps.Channel(redis.WithChannelSize(10000))
	publish(t, p.local, "c", "0")
	heard(t, ch)
	stop := make(chan struct{})
	sent := make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				sent <- n
				return
			default:
				n++
				p.local.Data().Publish("c", fmt.Sprint(n))
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	for range 5 {
		time.Sleep(20 * time.Millisecond)
		p.primary.Cut()
	}
	time.Sleep(20 * time.Millisecond)
	close(stop)
	n := <-sent
	for i := 1; i <= n; i++ {
		if got := heard(t, ch); got != fmt.Sprint(i) {
			t.Fatalf("heard %s, want %d of %d", got, i, n)
		}
	}
	eventually(t, "subscribed on the primary again", func() bool { return p.primary.Data().PubSubNumSub("c")["c"] == 1 })
	p.serves(t, fallback.Primary)
}

// Local may be absent: the subscription is the primary's, and local's once it is there.
func TestSubscribeWithLocalAbsent(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.local.Stop()
	ps := p.rdb.Subscribe(ctx, "c")
	defer ps.Close()
	confirmed(t, ps)
	publish(t, p.primary, "c", "1")
	if heard(t, ps.Channel()) != "1" {
		t.Error("not heard")
	}
	if err := p.local.Restart(); err != nil {
		t.Fatal(err)
	}
	publish(t, p.local, "c", "2")
	if heard(t, ps.Channel()) != "2" {
		t.Error("not heard on local")
	}
}

// A pooled connection on which somebody subscribes by hand is no trap for the next caller.
func TestSubscribeByHandOnThePool(t *testing.T) {
	t.Parallel()
	p := pairOf(t, fallbacktest.Run(t), fallbacktest.Run(t), func(o *redis.Options) { o.ReadTimeout = 100 * time.Millisecond })
	_ = p.rdb.Do(ctx, "subscribe", "c").Err()
	p.rdb.Set(ctx, "k", "v", 0)
	p.h.Pin(fallback.Local)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for range 20 {
		if err := p.rdb.Get(ctx, "k").Err(); err != nil && err != redis.Nil { //nolint:errorlint // as it comes
			t.Fatal(err)
		}
	}
}

// A program whose two URLs lead to one server hears each message once.
func TestSubscribersOfOneServer(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	p := pairOf(t, s, s, nil)
	ps := p.rdb.Subscribe(ctx, "c")
	defer ps.Close()
	confirmed(t, ps)
	ch := ps.Channel()
	eventually(t, "local to listen", func() bool { return s.Data().PubSubNumSub("c")["c"] == 2 && p.h.Status().SameServer })
	publish(t, s, "c", "once")
	if got := heard(t, ch); got != "once" {
		t.Errorf("heard %q", got)
	}
	hearsNothing(t, ch)
}

// A channel that local does not let its user listen to leaves the others alone.
func TestAChannelDeniedOnLocal(t *testing.T) {
	t.Parallel()
	s := newRealServers(t)
	if err := s.back.Do(ctx, "ACL", "SETUSER", "default", "resetchannels", "&open").Err(); err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{"open", "denied"} {
		ps := s.rdb.Subscribe(ctx, channel)
		defer ps.Close()
		confirmed(t, ps)
		eventually(t, "open to be heard on local", func() bool { return s.back.PubSubNumSub(ctx, "open").Val()["open"] == 1 })
	}
	eventually(t, "the denial", func() bool {
		log, _ := s.back.Do(ctx, "ACL", "LOG").Slice()
		return len(log) > 0
	})
	time.Sleep(20 * time.Millisecond)
	s.h.Pin(fallback.Local)
	ps := s.rdb.Subscribe(ctx, "open")
	defer ps.Close()
	confirmed(t, ps)
}

// A primary that lets probes write and refuses subscriptions is not well yet.
func TestSubscribersRefusedBeforeTheReturn(t *testing.T) {
	t.Parallel()
	p := newPair(t, quick())
	p.primary.Exhaust()
	ps := p.rdb.Subscribe(ctx, "c")
	defer ps.Close()
	confirmed(t, ps)
	p.serves(t, fallback.Local)
	p.primary.Renew()
	p.primary.RefuseOnly("SUBSCRIBE", fallbacktest.ReplyRequests)
	asked, refused := p.primary.Count("SET"), p.primary.Refused()
	eventually(t, "ten more probes", func() bool { return p.primary.Count("SET") > asked+10 })
	p.serves(t, fallback.Local)
	if n, probes := p.primary.Refused()-refused, p.primary.Count("SET")-asked; n == 0 || n > probes {
		t.Errorf("%d subscriptions were refused, by %d probes", n, probes)
	}
	p.primary.RefuseOnly("SUBSCRIBE", "")
	eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
	publish(t, p.primary, "c", "1")
	if heard(t, ps.Channel()) != "1" {
		t.Error("not heard on the primary")
	}
}
