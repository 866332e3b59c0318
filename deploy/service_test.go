package deploy_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	registry "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
)

// service is an application with traffic: a metered primary, a real local, and its metrics on a page.
type service struct {
	primary *fallbacktest.Server
	local   *redistest.Server
	rdb     *redis.Client // with the hook
	direct  *redis.Client // of the primary, without it
	h       *fallback.Hook
	page    *httptest.Server
	away    atomic.Bool // the page does not answer
}

// startService starts one whose times are short enough for a test. All of it ends with the test.
func startService(tb testing.TB) *service {
	tb.Helper()
	s := &service{primary: fallbacktest.Run(tb), local: redistest.Start(tb)}
	reg := registry.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(reg), exporter.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes))
	if err != nil {
		tb.Fatal(err)
	}
	metrics := promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	s.page = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		metrics.ServeHTTP(w, r)
	}))
	tb.Cleanup(s.page.Close)

	s.direct = redis.NewClient(s.primary.Options())
	s.rdb = redis.NewClient(s.primary.Options())
	local := redis.NewClient(s.local.Options())
	s.h = fallback.New(local,
		fallback.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))),
		fallback.WithLogger(slog.New(slog.DiscardHandler)),
		fallback.WithBreaker(breaker.Config{Failures: 3, Cooldown: time.Second}),
		fallback.WithHealth(health.Config{Hold: time.Second, MaxHold: time.Second, Successes: 2, Every: 200 * time.Millisecond}),
		fallback.WithLocalCheck(250*time.Millisecond),
		fallback.WithHang(500*time.Millisecond, 250*time.Millisecond),
		fallback.WithJournal(fallback.JournalConfig{Entries: 3000}),
		fallback.WithMirror(fallback.MirrorConfig{Writes: 200, Hydration: 1}),
	)
	s.rdb.AddHook(s.h)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.h.Shutdown(ctx); err != nil {
			tb.Logf("shutdown: %v", err)
		}
		_, _, _ = s.rdb.Close(), s.direct.Close(), local.Close()
	})
	return s
}

// visit sends steady traffic until the test ends.
func (s *service) visit(tb testing.TB) {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				s.rdb.Incr(ctx, fmt.Sprintf("visits:%d", i))
				s.rdb.Get(ctx, fmt.Sprintf("page:%d", n%50))
				select {
				case <-ctx.Done():
				case <-time.After(40 * time.Millisecond):
				}
			}
		})
	}
	tb.Cleanup(func() { stop(); all.Wait() })
}

func (s *service) serves(tb testing.TB, b fallback.Backend) {
	tb.Helper()
	eventually(tb, b.String()+" serves", func() bool { return s.h.Serving() == b })
}

// set changes a setting of local.
func (s *service) set(tb testing.TB, name, value string) {
	tb.Helper()
	if err := s.local.Client(tb).ConfigSet(tb.Context(), name, value).Err(); err != nil {
		tb.Fatal(err)
	}
}
