package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// clients are the client with the hook, that of local, and where the spans of both go.
type clients struct {
	rdb, local *redis.Client
	hook       *fallback.Hook
	traces     *sdktrace.TracerProvider
}

// open makes a client with the hook, and has both servers traced. Spans go over OTLP to where otlp or
// OTEL_EXPORTER_OTLP_ENDPOINT say; without these they are not sent.
func open(ctx context.Context, primaryURL, localURL string, otlp []otlptracehttp.Option, opts ...fallback.Option) (*clients, error) {
	primary, err1 := redis.ParseURL(primaryURL)
	local, err2 := redis.ParseURL(localURL)
	if err1 != nil || err2 != nil { // which are not shown: a URL may hold a password
		return nil, errors.New("REDIS_URL and REDIS_FALLBACK_URL must be the URLs of two Redis servers")
	}
	traces, err := newTraces(ctx, otlp)
	if err != nil {
		return nil, err
	}
	c := &clients{rdb: redis.NewClient(primary), local: redis.NewClient(local), traces: traces}
	c.hook = fallback.New(c.local, append(opts, fallback.WithTracerProvider(traces))...)
	c.rdb.AddHook(c.hook)
	// What is added after the hook sees what the primary is asked: its refusal is a span beside the replay. A
	// statement would hold the session's id, and whoever has that is logged in.
	plain := []redisotel.TracingOption{redisotel.WithTracerProvider(traces), redisotel.WithDBStatement(false)}
	if err := errors.Join(redisotel.InstrumentTracing(c.rdb, plain...), redisotel.InstrumentTracing(c.local, plain...)); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func newTraces(ctx context.Context, otlp []otlptracehttp.Option) (*sdktrace.TracerProvider, error) {
	of := sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "sessions")))
	if len(otlp) == 0 && os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
		return sdktrace.NewTracerProvider(of), nil
	}
	exporter, err := otlptracehttp.New(ctx, otlp...)
	if err != nil {
		return nil, err
	}
	return sdktrace.NewTracerProvider(of, sdktrace.WithBatcher(exporter)), nil
}

// close ends the hook before what it uses, and sends the last spans.
func (c *clients) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = c.hook.Shutdown(ctx)
	_ = c.rdb.Close()
	_ = c.local.Close()
	_ = c.traces.Shutdown(ctx)
}
