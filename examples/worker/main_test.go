package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/examples/internal/quotatest"
)

// Jobs go on over quota, and after the return the hosted Redis knows of each one that it was done, once.
func TestJobsThroughAQuota(t *testing.T) {
	t.Parallel()
	p := quotatest.New(t)
	ctx, stop := context.WithCancel(context.Background())
	did := make(chan string)
	ended := make(chan error)
	go func() {
		ended <- work(ctx, p.RDB, func(ctx context.Context, job string) error {
			select {
			case did <- job:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	n := 0
	some := func(server fallback.Backend) {
		t.Helper()
		for range 5 {
			n++
			job := fmt.Sprint("job ", n)
			if err := add(ctx, p.RDB, job); err != nil {
				t.Fatal(err)
			}
			if got := <-did; got != job {
				t.Errorf("did %q, want %q", got, job)
			}
		}
		if got := p.Hook.Serving(); got != server {
			t.Errorf("%v serves, want %v", got, server)
		}
	}
	some(fallback.Primary)
	p.Hosted.Exhaust()
	some(fallback.Local)
	p.Renew(t)
	some(fallback.Primary)

	quotatest.Eventually(t, "all is finished", func() bool {
		count, _ := p.Hosted.Data().Get(done)
		return count == fmt.Sprint(n) && !p.Hosted.Data().Exists(doing) && !p.Hosted.Data().Exists(waiting)
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
