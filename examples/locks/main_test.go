package main

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/examples/internal/quotatest"
)

// Of many who want to charge an order one does, and over quota nobody: there is no lock on local.
func TestLocksThroughAQuota(t *testing.T) {
	t.Parallel()
	p := quotatest.New(t)
	ctx := t.Context()
	shop := newShop(p.RDB)
	all := func(order string) (charged int64) {
		var wg sync.WaitGroup
		var n atomic.Int64
		for range 8 {
			wg.Go(func() {
				if shop.charge(ctx, order) == nil {
					n.Add(1)
				}
			})
		}
		wg.Wait()
		return n.Load()
	}
	if n := all("order 1"); n != 1 {
		t.Errorf("order 1 was charged %d times", n)
	}

	p.Hosted.Exhaust()
	err := shop.charge(ctx, "order 2")
	if !errors.Is(err, errLater) {
		t.Errorf("over quota an order gets %v", err)
	}
	if n := all("order 2"); n != 0 {
		t.Errorf("over quota an order was charged %d times", n)
	}
	if got := p.Hook.Serving(); got != fallback.Local {
		t.Errorf("%v serves, want local", got)
	}
	if p.Local.Data().Exists("lock:order 2") {
		t.Error("there is a lock on local")
	}
	if noted, _ := p.Local.Data().SIsMember("later", "order 2"); !noted {
		t.Error("what is to be done later is not noted")
	}

	p.Renew(t)
	if noted, _ := p.Hosted.Data().SIsMember("later", "order 2"); !noted {
		t.Error("what is to be done later has not arrived")
	}
	if n := all("order 2"); n != 1 {
		t.Errorf("after the return the order was charged %d times", n)
	}
	charged, err := p.Hosted.Data().HKeys("charged")
	if err != nil || !slices.Equal(charged, []string{"order 1", "order 2"}) {
		t.Errorf("charged are %q, error %v", charged, err)
	}
}
