package fallback

import (
	"context"
	"sync/atomic"
)

type servedKey struct{}

// Served tells who answered the commands of one context: see WithServedBy. It is safe for concurrent use,
// and a nil one says what one that local has answered nothing for says.
type Served struct{ local atomic.Int64 }

// WithServedBy returns a context whose commands are remembered in served if local answers them:
//
//	ctx, served := fallback.WithServedBy(r.Context())
//	value, err := rdb.Get(ctx, key).Result()
//	w.Header().Set("X-Served-By", served.By().String())
//
// Any number of goroutines may use the context, and contexts made from it, at the same time. What they
// did is counted together, and served may be asked meanwhile: it knows of a command once its call has
// returned. A context that is prepared inside another counts for both.
//
// What an autopipeline sends does not count, for its context is its own; nor do messages of a
// subscription.
func WithServedBy(ctx context.Context) (context.Context, *Served) {
	// Only what local answers looks for it. To count both sides would cost each command of a healthy
	// primary a walk up its context.
	s := &served{outer: servedOf(ctx)}
	return context.WithValue(ctx, servedKey{}, s), &s.Served
}

// ServedBy returns what the nearest WithServedBy above ctx has returned, nil where there is none.
func ServedBy(ctx context.Context) *Served {
	if s := servedOf(ctx); s != nil {
		return &s.Served
	}
	return nil
}

// By returns Local as soon as local has answered one command, an error reply included, else Primary:
// then what was answered at all, the primary has answered.
func (s *Served) By() Backend {
	if s.Local() > 0 {
		return Local
	}
	return Primary
}

// Local returns how many commands local has answered, each of a pipeline counted.
func (s *Served) Local() int64 {
	if s == nil {
		return 0
	}
	return s.local.Load()
}

// served is a Served with the one around it.
type served struct {
	Served
	outer *served
}

func servedOf(ctx context.Context) *served {
	s, _ := ctx.Value(servedKey{}).(*served)
	return s
}

// answeredLocally counts what local has answered a caller.
func (h *Hook) answeredLocally(ctx context.Context, n int) {
	h.backup.answered(n)
	for s := servedOf(ctx); s != nil && n > 0; s = s.outer {
		s.local.Add(int64(n))
	}
}
