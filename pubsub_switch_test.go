package fallback_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// ledger is what one subscriber has received.
type ledger struct {
	mu      sync.Mutex
	seen    map[int]int
	last    time.Time
	longest time.Duration // between two messages
}

func (r *ledger) receive(n int) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[n]++
	if !r.last.IsZero() {
		r.longest = max(r.longest, now.Sub(r.last))
	}
	r.last = now
}

// A hundred subscribers and one publisher, whose messages go wherever the service is. Between servers
// that live, in both directions, nothing is missed and nothing doubled; through the death of one,
// nothing is doubled, and what is missed is what its server had not sent.
func TestSubscribersAcrossSwitches(t *testing.T) {
	for name, c := range map[string]struct {
		leave, back func(*testing.T, *realServers)
		lossless    bool
	}{
		"both live": {
			func(_ *testing.T, s *realServers) { s.h.Pin(fallback.Local) },
			func(_ *testing.T, s *realServers) { s.h.Pin(fallback.Primary) }, true,
		},
		"the quota is used up": {
			func(_ *testing.T, s *realServers) { s.meter.exhaust("") },
			func(t *testing.T, s *realServers) {
				t.Helper()
				s.meter.renew()
				eventually(t, "the return", func() bool { return s.h.Serving() == fallback.Primary })
			}, true,
		},
		"the primary dies": {func(t *testing.T, s *realServers) {
			t.Helper()
			s.primary.Kill()
			s.died = int(s.published.Load()) + 1
			eventually(t, "the trip", func() bool { return s.h.Serving() == fallback.Local })
		}, func(t *testing.T, s *realServers) {
			t.Helper()
			s.primary.Restart(t)
			eventually(t, "the return", func() bool { return s.h.Serving() == fallback.Primary })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			const subscribers = 100
			switches := 20
			if testing.Short() {
				switches = 4
			}
			s := newRealServers(t, quick())
			all := make([]*ledger, subscribers)
			for i := range all {
				all[i] = &ledger{seen: map[int]int{}}
				var ps *redis.PubSub
				if i%2 == 0 {
					ps = s.rdb.Subscribe(ctx, "news", "own"+strconv.Itoa(i))
				} else {
					ps = s.rdb.PSubscribe(ctx, "new?")
				}
				defer ps.Close()
				confirmed(t, ps)
				go func() {
					for m := range ps.Channel(redis.WithChannelSize(100000)) {
						n, _ := strconv.Atoi(m.Payload)
						all[i].receive(n)
					}
				}()
			}
			eventually(t, "all are heard on local", func() bool {
				n, _ := s.back.PubSubNumPat(ctx).Result()
				return n == 1
			})
			pause := func() { time.Sleep(50 * time.Millisecond) }
			stop := make(chan struct{})
			published := &s.published
			failed, reach := map[int]bool{}, map[int]int64{}
			var slowest time.Duration
			done := make(chan struct{})
			go func() {
				defer close(done)
				for n := 1; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					began := time.Now()
					ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
					reached, err := s.rdb.Publish(ctx, "news", n).Result()
					if err != nil {
						failed[n] = true // PUBLISH is not harmless twice
					}
					reach[n] = reached
					cancel()
					slowest = max(slowest, time.Since(began))
					published.Store(int64(n))
					time.Sleep(500 * time.Microsecond)
				}
			}()
			pause()
			dying := map[int]bool{} // what was on its way when the primary died
			for i := range switches {
				if i%2 == 0 {
					from := int(published.Load())
					s.died = 0
					c.leave(t, s)
					for n := from; n <= s.died; n++ {
						dying[n] = true
					}
				} else {
					c.back(t, s)
				}
				pause()
			}
			close(stop)
			<-done
			total := int(published.Load())
			eventually(t, "the last message", func() bool {
				for _, r := range all {
					r.mu.Lock()
					n := r.seen[total]
					r.mu.Unlock()
					if n == 0 && !failed[total] {
						return false
					}
				}
				return true
			})
			var received, missed, unexplained, doubled int
			var deaf time.Duration
			at := map[string]int{} // what went wrong with which message, for how many
			for _, r := range all {
				r.mu.Lock()
				for n := 1; n <= total; n++ {
					switch k := r.seen[n]; {
					case k == 0 && !failed[n]:
						missed++
						if !dying[n] {
							unexplained++
							at[fmt.Sprintf("missed %d, which reached %d", n, reach[n])]++
						}
					case k > 1:
						doubled += k - 1
						at["doubled "+strconv.Itoa(n)]++
					}
					received += min(r.seen[n], 1)
				}
				deaf = max(deaf, r.longest)
				r.mu.Unlock()
			}
			t.Logf("%d switches, %d subscribers, %d published (%d lost on the way): received %d, missed %d, doubled %d; "+
				"longest silence of a subscriber %v, slowest PUBLISH %v; interrupted %d",
				switches, subscribers, total, len(failed), received, missed, doubled, deaf.Round(time.Millisecond),
				slowest.Round(time.Millisecond), s.h.Status().Interrupted)
			if doubled > 0 || unexplained > 0 {
				t.Errorf("doubled %d, missed %d that were not on their way when the primary died: %v", doubled, unexplained, at)
			}
		})
	}
}
