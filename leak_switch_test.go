package fallback_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// back alternates the server that serves.
func (p *pair) back(i int) { p.h.Pin([...]fallback.Backend{fallback.Primary, fallback.Local}[i%2]) }

// Nothing of ours runs on for subscribers, Watches and Conns that are gone, whatever they have been through.
func TestNoGoroutineIsLeft(t *testing.T) {
	p := newPair(t)
	p.rdb.Ping(ctx)
	left := func(what string) {
		t.Helper()
		eventually(t, what+" leave no goroutine", func() bool {
			runtime.GC() // a Conn that is dropped is known by nothing else
			return ours() == 0
		})
		p.noSessions(t)
	}

	const subscribers = 50
	all := make([]*redis.PubSub, subscribers)
	for i := range all {
		p.back(i / 10)
		all[i] = p.rdb.Subscribe(ctx, "news", fmt.Sprint("own", i))
		if i%3 == 0 {
			all[i].Channel() // which has goroutines of its own, of go-redis
		} else {
			confirmed(t, all[i])
		}
		if i == 25 {
			p.primary.Cut()
		}
	}
	for i, ps := range all {
		p.back(i / 10)
		if i == 25 {
			p.primary.Cut()
			p.local.Cut()
		}
		_ = ps.Close()
	}
	left("subscribers")
	if n := p.h.Status().Subscribers; n != 0 {
		t.Errorf("%d subscribers are left", n)
	}
	for _, s := range []string{"news", "own0", "own49"} {
		if n := p.local.Data().PubSubNumSub(s)[s]; n != 0 {
			t.Errorf("%d listen to %s on local", n, s)
		}
	}

	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 250 {
				if i%50 == 0 {
					p.back(w + i/50)
				}
				_ = add(p.rdb, fmt.Sprint("n", w), nil) // a switch in the middle fails it
			}
		})
	}
	wg.Wait()
	left("Watches")

	p.h.Pin(fallback.Local)
	for i := range 15 { // more than local's pool has would wait for each other, as on a bare client
		conn := p.rdb.Conn()
		if err := conn.Select(ctx, 3).Err(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			conn.Do(ctx, "watch", "k")
		}
		if i%5 == 0 {
			_ = conn.Close()
		}
	}
	eventually(t, "the Conns that were dropped to be released", func() bool {
		runtime.GC()
		return p.h.Status().LocalSessions == 0
	})
	left("Conns")
}
