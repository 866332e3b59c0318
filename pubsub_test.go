package fallback_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// heard returns the next message, or fails.
func heard(t *testing.T, ch <-chan *redis.Message) string {
	t.Helper()
	select {
	case m := <-ch:
		return m.Payload
	case <-time.After(5 * time.Second):
		t.Fatal("nothing heard for 5 s")
	}
	return ""
}

func hearsNothing(t *testing.T, ch <-chan *redis.Message) {
	t.Helper()
	select {
	case m := <-ch:
		t.Errorf("heard %q, want nothing", m.Payload)
	case <-time.After(50 * time.Millisecond):
	}
}

func publish(t *testing.T, s *fallbacktest.Server, channel, payload string) {
	t.Helper()
	eventually(t, "somebody listens on "+s.String(), func() bool { return s.Data().Publish(channel, payload) > 0 })
}

// confirmed waits for the confirmation of a subscription.
func confirmed(t *testing.T, ps *redis.PubSub) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		msg, err := ps.ReceiveTimeout(ctx, time.Second)
		if _, ok := msg.(*redis.Subscription); ok {
			return
		}
		if err != nil {
			t.Logf("waiting for a confirmation: %v", err)
		}
	}
	t.Fatal("not confirmed within 5 s")
}

// A subscription is heard on both servers, whoever serves, and each message once.
func TestSubscribersHearBothServers(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	ps := p.rdb.Subscribe(ctx, "c")
	defer ps.Close()
	confirmed(t, ps)
	ch := ps.Channel()
	for _, on := range []fallback.Backend{fallback.Primary, fallback.Local, fallback.Primary} {
		p.h.Pin(on)
		for i, s := range []*fallbacktest.Server{p.primary, p.local} {
			want := fmt.Sprint(on, i)
			publish(t, s, "c", want)
			if got := heard(t, ch); got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
		}
	}
	hearsNothing(t, ch)
	if n := p.h.Status().Subscribers; n != 1 {
		t.Errorf("%d subscribers, want 1", n)
	}
	_ = ps.Close()
	eventually(t, "local is left", func() bool { return p.local.Data().PubSubNumSub("c")["c"] == 0 })
}

// A SUBSCRIBE that the quota refuses, or the set-up of its connection, is not left deaf.
func TestSubscribeOverQuota(t *testing.T) {
	t.Parallel()
	for name, handshake := range map[string]bool{"command": false, "handshake": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pairOf(t, fallbacktest.Run(t, fallbacktest.WithPassword("one")), fallbacktest.Run(t, fallbacktest.WithPassword("two")), nil, quick())
			p.primary.Exhaust()
			p.primary.RefuseHandshake(handshake)
			ps := p.rdb.Subscribe(ctx, "c")
			defer ps.Close()
			confirmed(t, ps)
			p.serves(t, fallback.Local)
			ch := ps.Channel()
			if err := p.rdb.Publish(ctx, "c", "on local").Err(); err != nil || heard(t, ch) != "on local" {
				t.Errorf("published on local: %v", err)
			}
			refused := p.primary.Refused()
			more := p.rdb.PSubscribe(ctx, "d*")
			defer more.Close()
			confirmed(t, more)
			also := more.Channel() // go-redis connects anew when somebody reads
			if n := p.primary.Refused() - refused; n > 1 && !handshake {
				t.Errorf("%d refusals of one more subscription", n)
			}
			p.primary.Renew()
			eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
			for _, channel := range []string{"c", "d1"} {
				if err := p.rdb.Publish(ctx, channel, "on the primary").Err(); err != nil {
					t.Error(err)
				}
			}
			if heard(t, ch) != "on the primary" || heard(t, also) != "on the primary" {
				t.Error("not heard after the return")
			}
			hearsNothing(t, ch)
		})
	}
}

// From a TLS primary to a plain local with another password, and back, through an outage.
func TestSubscribersThroughAnOutage(t *testing.T) {
	t.Parallel()
	primary := fallbacktest.Run(t, fallbacktest.WithTLS(), fallbacktest.WithPassword("one"))
	p := pairOf(t, primary, fallbacktest.Run(t, fallbacktest.WithPassword("two")), nil, quick())
	early := p.rdb.Subscribe(ctx, "c")
	defer early.Close()
	confirmed(t, early)
	// Nobody sends a command: the subscription itself notices.
	primary.Stop()
	eventually(t, "the trip", func() bool { return p.h.Serving() == fallback.Local })
	late := p.rdb.Subscribe(ctx, "c")
	defer late.Close()
	confirmed(t, late)
	one, two := early.Channel(), late.Channel()
	p.rdb.Publish(ctx, "c", "1")
	if heard(t, one) != "1" || heard(t, two) != "1" {
		t.Error("not heard on local")
	}
	if err := primary.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
	p.rdb.Publish(ctx, "c", "2")
	if heard(t, one) != "2" || heard(t, two) != "2" {
		t.Error("not heard on the primary")
	}
	if n := p.h.Status().Interrupted; n != 1 {
		t.Errorf("%d interrupted, want 1", n)
	}
}

// Everything that a PubSub does works while either serves.
func TestPubSubCommands(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		for _, on := range []fallback.Backend{fallback.Primary, fallback.Local} {
			t.Run(fmt.Sprint("RESP", protocol, " on ", on), func(t *testing.T) {
				t.Parallel()
				primary, local := redistest.Start(t), redistest.Start(t)
				o := primary.Options()
				o.Protocol = protocol
				rdb := redis.NewClient(o)
				defer rdb.Close()
				h := fallback.New(local.Client(t), fallback.WithLogger((&lines{}).logger()))
				rdb.AddHook(h)
				h.Pin(on)
				ps := rdb.Subscribe(ctx)
				defer ps.Close()
				waiting := make(chan any, 1)
				go func() { // on a connection that is subscribed to nothing yet
					msg, err := ps.Receive(ctx)
					waiting <- errors.Join(err, matches(msg, "subscribe", "a"))
				}()
				time.Sleep(50 * time.Millisecond)
				expect := func(step string, do error, want ...string) {
					t.Helper()
					if do != nil {
						t.Fatalf("%s: %v", step, do)
					}
					msg, err := ps.ReceiveTimeout(ctx, 5*time.Second)
					if err = errors.Join(err, matches(msg, want...)); err != nil {
						t.Errorf("%s: %v", step, err)
					}
				}
				if err := ps.Subscribe(ctx, "a"); err != nil {
					t.Fatal(err)
				}
				if err := <-waiting; err != nil {
					t.Errorf("Receive before Subscribe: %v", err)
				}
				expect("psubscribe", ps.PSubscribe(ctx, "p*"), "psubscribe", "p*")
				expect("ssubscribe", ps.SSubscribe(ctx, "s"), "ssubscribe", "s")
				expect("publish", rdb.Publish(ctx, "a", "1").Err(), "a", "1")
				expect("publish to a pattern", rdb.Publish(ctx, "pp", "2").Err(), "pp", "2")
				expect("spublish", rdb.SPublish(ctx, "s", "3").Err(), "s", "3")
				expect("ping", ps.Ping(ctx, "there"), "pong", "there")
				expect("unsubscribe", ps.Unsubscribe(ctx, "a"), "unsubscribe", "a")
				expect("punsubscribe", ps.PUnsubscribe(ctx), "punsubscribe", "p*")
				expect("sunsubscribe", ps.SUnsubscribe(ctx, "s"), "sunsubscribe", "s")
				if _, err := ps.ReceiveTimeout(ctx, 20*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("nothing to receive: %v", err)
				}
				expect("again", ps.Subscribe(ctx, "b"), "subscribe", "b")
				expect("publish again", rdb.Publish(ctx, "b", "4").Err(), "b", "4")
			})
		}
	}
}

// matches compares a message with its parts: kind and channel, channel and payload, or pong and payload.
func matches(msg any, want ...string) error {
	var got []string
	switch m := msg.(type) {
	case *redis.Subscription:
		got = []string{m.Kind, m.Channel}
	case *redis.Message:
		got = []string{m.Channel, m.Payload}
	case *redis.Pong:
		got = []string{"pong", m.Payload}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("received %v, want %v", got, want)
	}
	return nil
}
