package journal_test

import (
	"fmt"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// BenchmarkDeliver delivers entries of distinct keys, which cannot be folded.
func BenchmarkDeliver(b *testing.B) {
	r := newRig(b)
	for from := 0; from < b.N; from += 1000 {
		pipe := r.store.Client().Pipeline()
		for i := from; i < min(from+1000, b.N); i++ {
			e := journal.Entry{Kind: journal.KindWrite, Commands: [][]string{{"incr", fmt.Sprintf("key:%07d", i)}}}
			pipe.XAdd(r.ctx, &redis.XAddArgs{Stream: "fallback:test:journal", Values: e.Fields()})
		}
		_, err := pipe.Exec(r.ctx)
		r.check(err)
	}
	d := r.drain()
	b.ReportAllocs()
	b.ResetTimer()
	r.deliver(d)
}
