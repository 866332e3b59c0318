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
	meters  *metric.MeterProvider
	page    *httptest.Server
	away    atomic.Bool  // the page does not answer
	scrapes atomic.Int64 // how often it has
}

// startService starts one whose times are short enough for a test. All of it ends with the test.
func startService(tb testing.TB) *service {
	tb.Helper()
	s := &service{primary: fallbacktest.Run(tb), local: redistest.Start(tb, "--appendonly", "yes", "--appendfsync", "always")}
	s.set(tb, "appendonly", "no") // until localsSettings
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
		s.scrapes.Add(1)
	}))
	tb.Cleanup(s.page.Close)

	s.meters = metric.NewMeterProvider(metric.WithReader(reader))
	s.direct, s.rdb = redis.NewClient(s.primary.Options()), redis.NewClient(s.primary.Options())
	tb.Cleanup(func() { s.direct.Close() })
	s.h = s.hook(tb, s.rdb, redis.NewClient(s.local.Options()))
	return s
}

// hook adds one to rdb. The clients are closed with it.
func (s *service) hook(tb testing.TB, rdb, local *redis.Client, opts ...fallback.Option) *fallback.Hook {
	tb.Helper()
	h := fallback.New(local, append([]fallback.Option{
		fallback.WithMeterProvider(s.meters),
		fallback.WithLogger(slog.New(slog.DiscardHandler)),
		fallback.WithBreaker(breaker.Config{Failures: 3, Cooldown: time.Second}),
		fallback.WithHealth(health.Config{Hold: time.Second, MaxHold: time.Second, Successes: 2, Every: 200 * time.Millisecond}),
		fallback.WithLocalCheck(250 * time.Millisecond),
		fallback.WithHang(500*time.Millisecond, 250*time.Millisecond),
		fallback.WithJournal(fallback.JournalConfig{Entries: 3000}),
		fallback.WithMirror(fallback.MirrorConfig{Writes: 200, Hydration: 1}),
	}, opts...)...)
	rdb.AddHook(h)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			tb.Logf("shutdown: %v", err)
		}
		_, _ = rdb.Close(), local.Close()
	})
	return h
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

// scraped waits until what there is now has been seen.
func (s *service) scraped(tb testing.TB) {
	tb.Helper()
	n := s.scrapes.Load() + 2 // the first may be under way
	eventually(tb, "a scrape", func() bool { return s.scrapes.Load() >= n })
}
