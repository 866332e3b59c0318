package mirror_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/mirror"
)

// TestEffectOfAnything gives every command there is arguments and replies of no sense: none may panic,
// and a key that is written to is a key that may be written to.
func TestEffectOfAnything(t *testing.T) {
	t.Parallel()
	names := commands(t)
	r := rand.New(rand.NewPCG(1, 1))
	vocabulary := []any{
		"a", "b", []byte("c"), 1, int64(2), "3", 1.5, nil, "ex", "PX", []byte("nx"), "get", "count", "left", "fields", "store",
		"streams", "group", ">", "0-0", "*", "maxlen", "~", "withscores", "absttl", "justid", "db", "keepttl", "block", "noack",
	}
	replies := []func(args []any) redis.Cmder{
		func(args []any) redis.Cmder { return redis.NewIntCmd(context.Background(), args...) },
		func(args []any) redis.Cmder { return redis.NewStringSliceCmd(context.Background(), args...) },
		func(args []any) redis.Cmder { return redis.NewZWithKeyCmd(context.Background(), args...) },
		func(args []any) redis.Cmder { return redis.NewXAutoClaimCmd(context.Background(), args...) },
		func(args []any) redis.Cmder { return redis.NewIntSliceCmd(context.Background(), args...) },
		func(args []any) redis.Cmder {
			cmd := redis.NewCmd(context.Background(), args...)
			cmd.SetVal([]any{
				nil, int64(1), "a",
				[]any{},
				[]any{"a"},
				[]any{nil, "a"},
				[]any{"a", []any{}},
				[]any{[]any{}},
				[]any{"a", []any{[]any{}}},
				map[any]any{"a": nil},
				[]any{"a", "b", "c"},
				1.5, true,
			}[r.IntN(13)])
			return cmd
		},
	}
	for range 200 {
		for _, name := range names {
			args := words(name)
			for range r.IntN(8) {
				args = append(args, vocabulary[r.IntN(len(vocabulary))])
			}
			var ops mirror.Ops
			ops.Effect("", replies[r.IntN(len(replies))](args), now)
			may, all := map[string]bool{}, false
			for _, i := range mirror.Keys(nil, args) {
				may[string(mirror.AppendArg(nil, args[i]))] = true
				all = all || i == 0
			}
			for op := range ops.All {
				if !all && !may[op.Key] {
					t.Errorf("%q: an operation on %q, which is none of its keys", args, op.Key)
				}
			}
		}
	}
}
