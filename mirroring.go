package fallback

import (
	"context"
	"log/slog"
	"runtime"
	"time"
	"weak"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis/go-redis/v9"
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
		RDB: s.plain, Name: name, Database: s.store.Database(), Home: s.home, Process: s.self.ID,
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
	rdb := s.plain
	runtime.AddCleanup(h, func(m *mirror.Mirror) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = m.Close(ctx)
			_ = rdb.Close()
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

// newHydrator makes what reads keys that are in use and that local does not hold.
func (h *Hook) newHydrator(s *share) *mirror.Hydrator {
	c := h.cfg.mirror
	if s.mirror == nil || c.Hydration <= 0 {
		return nil
	}
	w := weak.Make(h)
	largest := c.Largest
	if largest == 0 {
		largest = -1
	}
	hydrator := mirror.NewHydrator(mirror.HydrateConfig{
		Primary: func(ctx context.Context) (*redis.Client, error) {
			h := w.Value()
			if h == nil {
				return nil, ErrNoClient
			}
			return h.primaryClient(ctx)
		},
		Copier: s.copier(nil),
		Serves: func() bool {
			h := w.Value()
			return h != nil && h.era.Load().fence != "" && h.share.mirror.Off() == "" && !h.share.mirror.Stats().Stopped
		},
		Sent: func() int64 {
			if h := w.Value(); h != nil {
				return h.primary.ok.load()
			}
			return 0
		},
		Fraction: c.Hydration, Bytes: largest,
	})
	runtime.AddCleanup(h, func(hydrator *mirror.Hydrator) { go hydrator.Close() }, hydrator)
	return hydrator
}

// copier returns what copies from the primary, given a client of it.
func (s *share) copier(primary *redis.Client) *mirror.Copier {
	w := weak.Make(s.h)
	return &mirror.Copier{
		Primary: primary, Local: s.plain, Mirror: s.mirror, Name: s.h.cfg.name,
		Database: s.store.Database(), Home: s.home, Filter: s.h.cfg.mirror.Filter,
		Refused: func(err error) bool {
			h := w.Value()
			if h == nil {
				return false
			}
			v := h.verdict(nil, err)
			return v == Limit || v == Capacity || v == Busy || v == Denied
		},
	}
}

// startMirror begins to mirror, once the record has been looked for.
func (s *share) startMirror() {
	if s.mirror == nil {
		return
	}
	s.mirror.Start()
	if s.hydrator != nil {
		s.hydrator.Start()
	}
}

// endMirror delivers what waits, and ends.
func (s *share) endMirror(ctx context.Context) {
	if s.hydrator != nil {
		s.hydrator.Close()
	}
	if s.mirror != nil {
		ctx, cancel := context.WithTimeout(ctx, beatTimeout) // a local that hangs takes nothing
		defer cancel()
		_ = s.mirror.Close(ctx)
	}
}
