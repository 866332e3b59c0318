package fallback_test

import (
	"sync/atomic"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// realServers is realPair with everything in one hand.
type realServers struct {
	primary, local *redistest.Server
	rdb, back      *redis.Client
	h              *fallback.Hook
	log            *lines
	meter          *meter // between rdb and the primary

	published atomic.Int64 // messages whose PUBLISH has come back
	died      int          // the last that may have been on its way when the primary was killed
}

func newRealServers(t *testing.T, opts ...fallback.Option) *realServers {
	t.Helper()
	s := &realServers{primary: redistest.Start(t), local: redistest.Start(t), log: &lines{}}
	o := s.primary.Options()
	s.meter = &meter{}
	o.Dialer = s.meter.dial
	s.rdb, s.back = redis.NewClient(o), s.local.Client(t)
	s.h = fallback.New(s.back, append([]fallback.Option{cold(), fallback.WithLogger(s.log.logger())}, opts...)...)
	s.rdb.AddHook(s.h)
	t.Cleanup(func() {
		_ = s.h.Shutdown(ctx)
		_ = s.rdb.Close()
	})
	return s
}
