package reread_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/reread"
	"github.com/redis/go-redis/v9"
)

func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var r reread.Reader
			cmds := make([]redis.Cmder, n)
			for i := range cmds {
				cmds[i] = redis.NewStatusCmd(ctx, "set", "key", "value")
			}
			raw := []byte(fmt.Sprintf("*%d\r\n", n) + strings.Repeat("+OK\r\n", n))
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Answer(raw, cmds); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
