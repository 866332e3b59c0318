package fallback_test

import (
	"testing"

	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// The first command of a batch carries a mark of the hook's, under which the mirror must find its reply.
func TestTheFirstCommandOfABatchIsMirrored(t *testing.T) {
	t.Parallel()
	primary, local := redistest.Start(t), redistest.Start(t)
	p := newProcess(t, primary, local, withMirror())
	here := local.Client(t)
	for name, batch := range map[string]func() redis.Pipeliner{"pipeline": p.rdb.Pipeline, "transaction": p.rdb.TxPipeline} {
		pipe := batch()
		pipe.RPush(t.Context(), name+" list", 1, 2)
		pipe.Set(t.Context(), name, 1, 0)
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "what came second", func() bool { return here.Exists(t.Context(), name).Val() == 1 })
		if n := here.LLen(t.Context(), name+" list").Val(); n != 2 {
			t.Errorf("%s: the list, which it made, has %d elements on local, want 2", name, n)
		}
	}
}
