package fallback_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis/go-redis/v9"
)

// A call that was on its way when the primary went is answered by local, also if the primary is back
// before it gets there: only probes, and subscribers, may reach a primary that does not serve.
func TestStragglersDoNotReachAPrimaryThatIsBack(t *testing.T) {
	t.Parallel()
	p := pairOf(t, fallbacktest.Run(t), fallbacktest.Run(t), func(o *redis.Options) {
		o.OnConnect = func(ctx context.Context, cn *redis.Conn) error { return cn.Echo(ctx, "set up").Err() }
	}, fallback.WithHealth(health.Config{Successes: 1 << 20, Every: time.Hour}))
	p.primary.Stop()
	const calls = 20
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			if err := p.rdb.Incr(ctx, fmt.Sprint("n", i)).Err(); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "the trip", func() bool { return p.h.Serving() == fallback.Local })
	if err := p.primary.Restart(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var probes sync.WaitGroup
	for range 4 { // at any time one of them is under way
		probes.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if err := p.h.Probe(ctx); err != nil {
						t.Errorf("a probe of a primary that is back: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	probes.Wait()
	for i := range calls {
		key := fmt.Sprint("n", i)
		if v := get(t, p.primary, key) + get(t, p.local, key); p.primary.Data().Exists(key) || v != "1" {
			t.Errorf("%s: %q on the primary, %q on local", key, get(t, p.primary, key), get(t, p.local, key))
		}
	}
	p.serves(t, fallback.Local)
}
