package journal_test

import (
	"fmt"
	"strings"
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

// BenchmarkParseRange reads what one XRANGE answers.
func BenchmarkParseRange(b *testing.B) {
	const n = 1000
	var raw strings.Builder
	fmt.Fprintf(&raw, "*%d\r\n", n)
	for i := range n {
		e := journal.Entry{Kind: journal.KindWrite, Commands: [][]string{{"incr", fmt.Sprintf("key:%07d", i)}}}
		fmt.Fprintf(&raw, "*2\r\n$15\r\n%013d-%d\r\n", 1700000000000+i, i%10)
		fields := e.Fields()
		fmt.Fprintf(&raw, "*%d\r\n", len(fields))
		for _, f := range fields {
			fmt.Fprintf(&raw, "$%d\r\n%s\r\n", len(f), f)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if got, err := journal.ParseRange(raw.String()); got != n || err != nil {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
}
