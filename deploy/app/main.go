// Command app is what compose.yaml watches: an HTTP service that counts its visitors in Redis.
//
//	GET  /           a visit; the header X-Served-By says which server counted it
//	GET  /metrics    for Prometheus
//	GET  /healthz    200 as long as one of the two servers answers
//	POST /exhaust    uses up the quota of the built-in primary; POST /renew renews it
//
// Without REDIS_URL the primary is built in: a metered Redis in this process, so that a quota can be met
// without an account anywhere. Everything else is set as FromEnv of the library says.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("app", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	mux := http.NewServeMux()
	name := "" // the default
	if os.Getenv("REDIS_URL") == "" && os.Getenv("REDIS__URL") == "" {
		metered, err := fallbacktest.Start()
		if err != nil {
			return err
		}
		defer metered.Close()
		// It is another primary each time. Under the name of the last one nothing would be delivered to it,
		// as local has kept a journal for that.
		name = "builtin-" + strings.ToLower(rand.Text()[:6])
		if err := os.Setenv("REDIS_URL", metered.URL()); err != nil {
			return err
		}
		mux.HandleFunc("POST /exhaust", func(http.ResponseWriter, *http.Request) { metered.Exhaust() })
		mux.HandleFunc("POST /renew", func(http.ResponseWriter, *http.Request) { metered.Renew() })
	}
	t, err := newTelemetry(ctx)
	if err != nil {
		return err
	}
	rdb, h, err := fallback.FromEnv(fallback.WithName(name), fallback.WithMeterProvider(t.meters), fallback.WithTracerProvider(t.traces))
	if err != nil {
		return err
	}
	if err := redisotel.InstrumentTracing(rdb, redisotel.WithTracerProvider(t.traces)); err != nil {
		return err
	}
	mux.Handle("GET /metrics", t.page)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if err := rdb.Ping(r.Context()).Err(); err != nil {
			http.Error(w, "neither server answers", http.StatusServiceUnavailable)
		}
	})
	tracer := t.traces.Tracer("app")
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tracer.Start(r.Context(), "GET /")
		defer span.End()
		visit(ctx, w, rdb)
	})
	return serve(ctx, mux, func(ctx context.Context) error {
		return errors.Join(h.Shutdown(ctx), rdb.Close(), t.shutdown(ctx))
	})
}

func visit(ctx context.Context, w http.ResponseWriter, rdb *redis.Client) {
	ctx, served := fallback.WithServedBy(ctx)
	n, err := rdb.Incr(ctx, "visits").Result()
	if err != nil {
		http.Error(w, "the visit could not be counted", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("X-Served-By", served.By().String())
	fmt.Fprintln(w, n)
}

// serve ends with ctx, and calls end once no request is under way.
func serve(ctx context.Context, h http.Handler, end func(context.Context) error) error {
	addr := os.Getenv("ADDR")
	if addr == "" {
		addr = ":8080"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	slog.Info("app: listening", "addr", ln.Addr().String())
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, srv.Shutdown(ctx), end(ctx))
}
