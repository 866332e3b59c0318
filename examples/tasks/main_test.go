package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/examples/internal/quotatest"
)

// diary is what a server has done, by payload.
type diary struct {
	mu  sync.Mutex
	ran map[string]int
}

func (d *diary) run(_ context.Context, task *asynq.Task) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ran[string(task.Payload())]++
	return nil
}

func (d *diary) has(user string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ran[user] > 0
}

func start(t *testing.T, p *quotatest.Pair) *diary {
	t.Helper()
	d := &diary{ran: map[string]int{}}
	srv, err := serve(p.RDB, d.run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	return d
}

// Tasks are enqueued and run over quota, and afterwards the hosted Redis knows that they are done.
func TestTasksThroughAQuota(t *testing.T) {
	t.Parallel()
	p := quotatest.New(t)
	d := start(t, p)
	client := asynq.NewClientFromRedisClient(p.RDB)
	n := 0
	some := func(server fallback.Backend) {
		t.Helper()
		for range 4 {
			n++
			user := fmt.Sprint("user ", n)
			if err := enqueue(t.Context(), client, user); err != nil {
				t.Fatal(err)
			}
			quotatest.Eventually(t, "the task of "+user, func() bool { return d.has(user) })
		}
		quotatest.Eventually(t, "the end of all tasks", func() bool {
			return p.RDB.LLen(t.Context(), "asynq:{default}:pending").Val()+p.RDB.LLen(t.Context(), "asynq:{default}:active").Val() == 0
		})
		if got := p.Hook.Serving(); got != server {
			t.Errorf("%v serves, want %v", got, server)
		}
	}
	some(fallback.Primary)
	p.Hosted.Exhaust()
	some(fallback.Local)
	p.Renew(t)
	some(fallback.Primary)
	if done, err := p.Hosted.Data().Get("asynq:{default}:processed"); done != fmt.Sprint(n) {
		t.Errorf("the hosted Redis knows of %q tasks, error %v; want %d", done, err, n)
	}
	if letters, err := p.Hook.DeadLetters(t.Context()); len(letters) > 0 || err != nil {
		t.Errorf("dead letters %+v, error %v", letters, err)
	}
}

// A task that waits on the hosted Redis at the switch is not lost: if local did not know it, it is still there
// after the return, for asynq to run.
func TestATaskThatWaitsAtTheSwitch(t *testing.T) {
	t.Parallel()
	p := quotatest.New(t)
	client := asynq.NewClientFromRedisClient(p.RDB)
	if err := enqueue(t.Context(), client, "early"); err != nil {
		t.Fatal(err)
	}
	p.Hosted.Exhaust()
	d := start(t, p)
	if err := enqueue(t.Context(), client, "late"); err != nil {
		t.Fatal(err)
	}
	quotatest.Eventually(t, "the task that local knows", func() bool { return d.has("late") })
	p.Renew(t)

	inspector := asynq.NewInspectorFromRedisClient(p.RDB)
	var all []*asynq.TaskInfo
	for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
		inspector.ListPendingTasks, inspector.ListActiveTasks, inspector.ListRetryTasks,
	} {
		some, err := list("default")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	if !d.has("early") && !slices.ContainsFunc(all, func(i *asynq.TaskInfo) bool { return string(i.Payload) == "early" }) {
		t.Errorf("the task that waited is lost; there are %+v", all)
	}
}
