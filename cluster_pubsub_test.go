package fallback_test

import (
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// reaches publishes until a subscriber is there, and checks that the message is heard.
func reaches(t *testing.T, what string, send func() *redis.IntCmd, ch <-chan *redis.Message, want string) {
	t.Helper()
	if err := send().Err(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if got := heard(t, ch); got != want {
		t.Errorf("%s: heard %q, want %q", what, got, want)
	}
}

// Subscriptions of a cluster follow the switch, from its nodes to local and back: channels, patterns,
// and shard channels of different nodes.
func TestSubscriptionsOfAClusterFollow(t *testing.T) {
	t.Parallel()
	for name, clusterLocal := range map[string]bool{"to a server": false, "to a cluster": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var back redis.UniversalClient
			if clusterLocal {
				back = redistest.StartCluster(t).Client(t)
			} else {
				back = redistest.Start(t).Client(t)
			}
			p := newClusterPair(t, true, back)
			subs := map[string]*redis.PubSub{
				"c": p.rdb.Subscribe(ctx, "c"), "pp": p.rdb.PSubscribe(ctx, "p?"),
				"{a}s": p.rdb.SSubscribe(ctx, "{a}s"), "{b}s": p.rdb.SSubscribe(ctx, "{b}s"),
			}
			chans := map[string]<-chan *redis.Message{}
			for name, ps := range subs {
				defer ps.Close()
				confirmed(t, ps)
				chans[name] = ps.Channel()
			}
			all := func(payload string) {
				t.Helper()
				for name, ch := range chans {
					reaches(t, name+" "+payload, func() *redis.IntCmd {
						if len(name) > 2 {
							return p.rdb.SPublish(ctx, name, payload)
						}
						return p.rdb.Publish(ctx, name, payload)
					}, ch, payload)
				}
			}
			all("on the cluster")
			p.meter.exhaust("")
			all("over quota")
			if p.h.Serving() != fallback.Local {
				t.Fatalf("status %+v", p.h.Status())
			}
			late := p.rdb.Subscribe(ctx, "late")
			defer late.Close()
			confirmed(t, late)
			chans["late"] = late.Channel()
			p.meter.renew()
			eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
			reaches(t, "late", func() *redis.IntCmd { return p.rdb.Publish(ctx, "late", "back") }, chans["late"], "back")
			delete(chans, "late")
			all("on the cluster again")
		})
	}
}
