package mirror_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/mirror"
)

func hotCalls(tb testing.TB) map[string]redis.Cmder {
	tb.Helper()
	calls := map[string]redis.Cmder{}
	for _, line := range []string{"incr key", "hset key field value", "del key", "sadd key member", "zadd key 1 member", "rpush key value"} {
		cmd := redis.NewIntCmd(tb.Context(), words(line)...)
		cmd.SetVal(1 << 40)
		calls[line] = cmd
	}
	for _, line := range []string{"set key value", "SET key value EX 10", "mset a 1 b 2"} {
		calls[line] = redis.NewStatusCmd(tb.Context(), words(line)...)
	}
	calls["set with numbers"] = redis.NewStatusCmd(tb.Context(), "set", "key", 7, "px", int64(10))
	for _, line := range []string{"expire key 10", "setnx key value"} {
		cmd := redis.NewBoolCmd(tb.Context(), words(line)...)
		cmd.SetVal(true)
		calls[line] = cmd
	}
	calls["get key"] = redis.NewStringCmd(tb.Context(), words("get key")...)
	calls["lpop key"] = redis.NewStringCmd(tb.Context(), words("lpop key")...)
	return calls
}

func TestEffectDoesNotAllocate(t *testing.T) {
	for name, cmd := range hotCalls(t) {
		var ops mirror.Ops
		ops.Effect("", cmd, now)
		if n := testing.AllocsPerRun(100, func() {
			ops.Reset()
			ops.Effect("", cmd, now)
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
		var room [8]int
		if n := testing.AllocsPerRun(100, func() { mirror.Keys(room[:0], cmd.Args()) }); n != 0 {
			t.Errorf("the keys of %s: %v allocations, want 0", name, n)
		}
	}
}

func BenchmarkEffect(b *testing.B) {
	for name, cmd := range hotCalls(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var ops mirror.Ops
			for b.Loop() {
				ops.Reset()
				ops.Effect("", cmd, now)
			}
		})
	}
}

func BenchmarkKeys(b *testing.B) {
	for name, cmd := range hotCalls(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var room [8]int
			for b.Loop() {
				mirror.Keys(room[:0], cmd.Args())
			}
		})
	}
}
