package fallback_test

import (
	"context"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// traced instruments a client, and returns what is recorded of it.
func traced(t *testing.T, rdb redis.UniversalClient) *tracetest.SpanRecorder {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	if err := redisotel.InstrumentTracing(rdb, redisotel.WithTracerProvider(provider)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return spans
}

// named returns the spans of one command, as their status.
func named(spans *tracetest.SpanRecorder, command string) string {
	var got []string
	for _, s := range spans.Ended() {
		if s.Name() == command {
			status := "ok"
			if s.Status().Code == codes.Error {
				status = "error"
			}
			got = append(got, status)
		}
	}
	return strings.Join(got, " ")
}

// redisotel added before the hook sees each call once, with what the caller gets; added after it sees
// what the primary was asked; on local it sees what local answered.
func TestRedisotelOnBothSides(t *testing.T) {
	t.Parallel()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	rdb, back := redis.NewClient(primary.Options()), redis.NewClient(local.Options())
	t.Cleanup(func() { _, _ = rdb.Close(), back.Close() })
	before := traced(t, rdb)
	h := fallback.New(back, fallback.WithLogger((&lines{}).logger()))
	t.Cleanup(func() { _ = h.Shutdown(ctx) })
	rdb.AddHook(h)
	after := traced(t, rdb)
	onLocal := traced(t, back)

	rdb.Incr(ctx, "n")
	primary.Exhaust()
	for range 2 {
		if err := rdb.Incr(ctx, "n").Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		where string
		spans *tracetest.SpanRecorder
		want  string
	}{
		{"before the hook", before, "ok ok ok"},
		{"after the hook", after, "ok error"},
		{"on local", onLocal, "ok ok"},
	} {
		if got := named(c.spans, "incr"); got != c.want {
			t.Errorf("redisotel %s has recorded %q, want %q", c.where, got, c.want)
		}
	}

	local.Stop()
	if err := rdb.Incr(ctx, "n").Err(); err == nil {
		t.Fatal("both servers refuse")
	}
	if got := named(before, "incr"); got != "ok ok ok error" {
		t.Errorf("before the hook, a call that fails on both: %q", got)
	}
}

// The spans of pipelines are the same.
func TestRedisotelSeesPipelines(t *testing.T) {
	t.Parallel()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	rdb, back := redis.NewClient(primary.Options()), redis.NewClient(local.Options())
	t.Cleanup(func() { _, _ = rdb.Close(), back.Close() })
	before := traced(t, rdb)
	h := fallback.New(back, fallback.WithLogger((&lines{}).logger()))
	t.Cleanup(func() { _ = h.Shutdown(ctx) })
	rdb.AddHook(h)
	after := traced(t, rdb)
	primary.Quota(1)
	_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "n")
		pipe.Incr(ctx, "n")
		return nil
	})
	if err != nil || named(before, "redis.pipeline incr") != "ok" || named(after, "redis.pipeline incr") != "ok" && named(after, "redis.pipeline incr") != "error" {
		var all []string
		for _, s := range append(before.Ended(), after.Ended()...) {
			all = append(all, s.Name()+" "+s.Status().Code.String())
		}
		t.Errorf("%v; %v", err, all)
	}
}
