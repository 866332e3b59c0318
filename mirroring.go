package fallback

import (
	"context"
	"log/slog"
	"runtime"
	"time"
	"weak"

	"github.com/redis-fallback/fallback/internal/mirror"
)

// flushTime bounds what a trip waits for the mirror: what it has not delivered by then is the one thing
// that local will not know.
const flushTime = 100 * time.Millisecond

// newMirror makes the mirror of a share. Its goroutines do not hold the hook: one that nobody uses any
// more is collected, and then its mirror ends.
func (h *Hook) newMirror(s *share) *mirror.Mirror {
	c := h.cfg.mirror
	if c.Bytes < 0 {
		return nil
	}
	w := weak.Make(h)
	logger, name := h.cfg.logger, h.cfg.name
	m := mirror.New(mirror.Config{
		RDB: s.store.Client(), Name: name, Database: s.store.Database(), Home: s.home, Process: s.self.ID,
		Bytes: c.Bytes, Ops: c.Writes, Filter: c.Filter,
		Fence: func() string {
			if h := w.Value(); h != nil {
				return h.era.Load().fence
			}
			return ""
		},
		Fenced: func() {
			if h := w.Value(); h != nil {
				h.share.lookSoon()
			}
		},
		Cold: func(db, key string) {
			if h := w.Value(); h != nil && h.share.hydrator != nil {
				h.share.hydrator.Touch(db, key)
			}
		},
		Log: func(level slog.Level, msg string, attrs ...slog.Attr) {
			logger.LogAttrs(context.Background(), level, "redis fallback: "+msg, append(attrs, slog.String("primary", name))...)
		},
	})
	runtime.AddCleanup(h, func(m *mirror.Mirror) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = m.Close(ctx)
		}()
	}, m)
	return m
}

// lookSoon looks at the record beside the caller.
func (s *share) lookSoon() {
	if s.peeking.Swap(true) {
		return
	}
	go func() {
		defer s.peeking.Store(false)
		_, _ = s.look(context.Background())
	}()
}

// flush has the mirror deliver what it has, before this process leaves the primary.
func (s *share) flush(ctx context.Context) {
	if s.mirror == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	_ = s.mirror.Flush(ctx)
}
