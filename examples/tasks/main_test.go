package main

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/examples/internal/quotatest"
)

// Tasks are enqueued and run over quota, and afterwards the hosted Redis has none that is still to run.
func TestTasksThroughAQuota(t *testing.T) {
	t.Parallel()
	p := quotatest.New(t)
	var mu sync.Mutex
	ran := map[string]int{}
	srv, err := serve(p.RDB, func(_ context.Context, task *asynq.Task) error {
		mu.Lock()
		defer mu.Unlock()
		ran[string(task.Payload())]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	client := asynq.NewClientFromRedisClient(p.RDB)
	n := 0
	some := func(server fallback.Backend) {
		t.Helper()
		for range 4 {
			n++
			if err := enqueue(t.Context(), client, fmt.Sprint("user ", n)); err != nil {
				t.Fatal(err)
			}
		}
		quotatest.Eventually(t, "all tasks run", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(ran) == n
		})
		if got := p.Hook.Serving(); got != server {
			t.Errorf("%v serves, want %v", got, server)
		}
	}
	some(fallback.Primary)
	p.Hosted.Exhaust()
	some(fallback.Local)
	p.Renew(t)
	t.Log(p.Hosted.Data().Dump())
	some(fallback.Primary)
	t.Log(ran)
	letters, err := p.Hook.DeadLetters(t.Context())
	t.Log(letters, err)
	t.Log(p.Hosted.Data().Dump())
}
