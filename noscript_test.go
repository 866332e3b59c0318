package fallback_test

import (
	"fmt"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// After local has forgotten its scripts a pipeline is still one order: its reads see its own writes.
func TestPipelineWhoseScriptsAreGone(t *testing.T) {
	t.Parallel()
	x := newTrio(t, 3)
	x.pin(t, fallback.Local)
	x.rdb.Ping(ctx) // the first command loads them
	if err := x.local.ScriptFlush(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	cmds, err := x.rdb.Pipelined(ctx, queue([][]any{
		{"get", "k"}, {"set", "k", 1}, {"get", "k"}, {"set", "k", 2}, {"set", "l", 1, "ex", 100}, {"get", "k"}, {"incr", "k"}, {"get", "k"},
	}))
	if cmds[0].Err() == nil {
		t.Error("the first GET has found something")
	}
	want := map[int]string{2: "1", 5: "2", 6: "3", 7: "3"}
	for i, v := range want {
		if got := fmt.Sprint(cmds[i].(*redis.Cmd).Val()); got != v {
			t.Errorf("reply %d is %s, want %s (%v)", i, got, v, err)
		}
	}
	x.pin(t, fallback.Primary)
	x.sameData(t, 0)
}

// A call after which local has its scripts again has brought all of them, so that no later one of a
// pipeline runs before one that local did not know.
func TestScriptsAreBroughtTogether(t *testing.T) {
	t.Parallel()
	x := newTrio(t, 3)
	x.pin(t, fallback.Local)
	x.rdb.Ping(ctx) // the first command loads them
	if err := x.local.ScriptFlush(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if err := x.rdb.Set(ctx, "k", 0, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := x.rdb.Pipelined(ctx, queue([][]any{{"set", "k", 1}, {"set", "l", 1}, {"get", "k"}, {"set", "k", 2}})); err != nil {
		t.Fatal(err)
	}
	if v := x.local.Get(ctx, "k").Val(); v != "2" {
		t.Errorf("k is %s, want what was written last", v)
	}
}
