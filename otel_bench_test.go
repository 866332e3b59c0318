package fallback_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// observed returns a hook over a next that does nothing, with nothing of OpenTelemetry, or with a tracer and
// with metrics that are collected all the time.
func observed(tb testing.TB, on bool) redis.ProcessHook {
	tb.Helper()
	local := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	var opts []fallback.Option
	if on {
		reader := sdkmetric.NewManualReader()
		meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		tracers := sdktrace.NewTracerProvider()
		opts = append(opts, fallback.WithMeterProvider(meters), fallback.WithTracerProvider(tracers))
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			var all metricdata.ResourceMetrics
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
					_ = reader.Collect(ctx, &all)
				}
			}
		}()
		tb.Cleanup(func() {
			close(stop)
			<-stopped
			_, _ = meters.Shutdown(ctx), tracers.Shutdown(ctx)
		})
	}
	h := fallback.New(local, opts...)
	tb.Cleanup(func() { _, _ = h.Shutdown(ctx), local.Close() })
	h.DialHook(nil)
	hooked := h.ProcessHook(func(context.Context, redis.Cmder) error { return nil })
	h.ProcessPipelineHook(nil)
	h.ProcessPipelineHook(nil)
	return hooked
}

// What metrics and a tracer cost a command that the primary answers: nothing.
func BenchmarkObserved(b *testing.B) {
	get := redis.NewStringCmd(ctx, "get", "k")
	for name, on := range map[string]bool{"GET/off": false, "GET/on": true} {
		hooked := observed(b, on)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := hooked(ctx, get); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A read that the primary answers allocates nothing with metrics and a tracer on. No test runs beside it.
func TestMetricsCostReadsNothing(t *testing.T) {
	hooked := observed(t, true)
	get := redis.NewStringCmd(ctx, "get", "k")
	allocs := testing.AllocsPerRun(10_000, func() {
		if err := hooked(ctx, get); err != nil {
			t.Fatal(err)
		}
	})
	if allocs >= 1 { // what collects meanwhile has its own
		t.Errorf("%v allocations a read", allocs)
	}
}
