package fallback_test

import (
	"context"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"go.opentelemetry.io/otel"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// A return and its drain are linked to the trip, and a drain that somebody asks for is within their span.
func TestReturnsAreLinked(t *testing.T) {
	t.Parallel()
	x := newTraces(t, false, false, quick())
	x.rdb.Ping(ctx)
	x.primary.Exhaust()
	x.rdb.Incr(ctx, "n")
	trip := x.named(t, "fallback.trip")
	x.primary.Renew()
	back, drain := x.named(t, "fallback.return"), x.named(t, "fallback.drain")
	for _, s := range x.kept.GetSpans() {
		if s.Name == "fallback.drain" && s.StartTime.After(drain.StartTime) {
			drain = s // one before may have been refused
		}
	}
	linked := func(s tracetest.SpanStub, to ...tracetest.SpanStub) {
		t.Helper()
		if s.Parent.IsValid() || len(s.Links) != len(to) {
			t.Fatalf("%s has parent %v and links %+v", s.Name, s.Parent, s.Links)
		}
		for i := range to {
			if s.Links[i].SpanContext.SpanID() != to[i].SpanContext.SpanID() {
				t.Errorf("%s is not linked to %s", s.Name, to[i].Name)
			}
		}
	}
	linked(back, trip, drain)
	linked(drain, trip)
	if back.StartTime.After(drain.StartTime) || back.EndTime.Before(back.StartTime) {
		t.Errorf("the return lasted from %v to %v, its drain from %v", back.StartTime, back.EndTime, drain.StartTime)
	}
	if got := attributes(drain); !strings.Contains(got, "fallback.drain.entries=1 ") || strings.Contains(got, "fallback.drain.commands=0") {
		t.Errorf("the drain has %s", got)
	}
	if got := attributes(back); !strings.Contains(got, "fallback.backend=upstash") || !strings.Contains(got, "fallback.reason=recovered") {
		t.Errorf("the return has %s", got)
	}

	y := newTraces(t, false, false, unlooked())
	y.primary.Exhaust()
	y.rdb.Incr(ctx, "n")
	y.primary.Renew()
	y.request("by hand", func(ctx context.Context) {
		if n, err := y.h.Drain(ctx, 0); n != 1 || err != nil {
			t.Error(n, err)
		}
	})
	if d, by := y.named(t, "fallback.drain"), y.named(t, "by hand"); d.Parent.SpanID() != by.SpanContext.SpanID() || len(d.Links) != 1 {
		t.Errorf("a drain by hand has parent %v and links %+v", d.Parent, d.Links)
	}
}

// What other processes hear of a trip is a span of theirs, of no length and with no link.
func TestTheTripOfAnotherProcess(t *testing.T) {
	t.Parallel()
	kept := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept))
	primary, _, a, b := two(t, fallback.WithTracerProvider(provider), unlooked())
	primary.Exhaust()
	call, span := provider.Tracer("program").Start(ctx, "call")
	a.rdb.Incr(call, "n")
	span.End()
	eventually(t, "both", serves(fallback.Local, a, b))
	var linked, unlinked int
	eventually(t, "two trips", func() bool {
		linked, unlinked = 0, 0
		for _, s := range kept.GetSpans() {
			switch {
			case s.Name != "fallback.trip":
			case len(s.Links) == 1 && s.EndTime.After(s.StartTime):
				linked++
			case len(s.Links) == 0 && s.EndTime.Equal(s.StartTime):
				unlinked++
			}
		}
		return linked+unlinked == 2
	})
	if linked != 1 || unlinked != 1 {
		t.Errorf("%d linked trips and %d others, want one of each", linked, unlinked)
	}
}

// Without a provider of its own a hook uses otel's, as it is when it is used. No other test may set it.
func TestGlobalProviders(t *testing.T) {
	defer otel.SetTracerProvider(tracenoop.NewTracerProvider())
	defer otel.SetMeterProvider(metricnoop.NewMeterProvider())
	p := newPair(t, fallback.WithName("global"))
	p.h.Pin(fallback.Local)
	p.rdb.Get(ctx, "k")
	for range 2 { // the second would be missed by a tracer that is kept
		kept := tracetest.NewInMemoryExporter()
		otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept)))
		p.rdb.Get(ctx, "k")
		if n := len(kept.GetSpans()); n != 1 {
			t.Errorf("%d spans, want the one of the replay", n)
		}
	}
	reader := sdkmetric.NewManualReader()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))) // after New
	var all metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			if d, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "redis.global.connect.success" && len(d.DataPoints) == 1 {
				return
			}
		}
	}
	t.Error("the global meter has no metrics of a hook that was made before it")
}

// A pin after a trip is no part of that: neither its cause nor its time.
func TestAPinHasNothingOfTheTripBefore(t *testing.T) {
	t.Parallel()
	x := newTraces(t, false, false, unlooked())
	x.rdb.Ping(ctx)
	x.primary.Exhaust()
	x.request("request", func(ctx context.Context) { x.rdb.Incr(ctx, "n") })
	x.primary.Renew()
	for _, b := range []fallback.Backend{fallback.Primary, fallback.Local} {
		if err := x.h.Pin(b); err != nil {
			t.Fatal(err)
		}
		x.serves(t, b)
	}
	if cause := x.h.Status().Cause; cause != "" {
		t.Errorf("the cause of a pin is %q", cause)
	}
	if err := x.h.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	pins := 0
	for _, s := range x.kept.GetSpans() {
		if s.Name == "fallback.trip" && strings.Contains(attributes(s), "fallback.reason=pinned") {
			if pins++; len(s.Links) > 0 || s.EndTime.After(s.StartTime) {
				t.Errorf("the pin lasted %v and has links %+v", s.EndTime.Sub(s.StartTime), s.Links)
			}
		}
	}
	if pins != 1 {
		t.Errorf("%d spans of the pin", pins)
	}
}

// A replay that another switch has met says who answered in the end.
func TestAReplayThatIsFenced(t *testing.T) {
	t.Parallel()
	kept := tracetest.NewInMemoryExporter()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	local.RefuseOnly("SUBSCRIBE", "ERR not here") // so that a change is heard of at the next look
	a := newProcess(t, primary, local)
	deaf := newProcess(t, primary, local, fallback.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept))))
	answered := func() string {
		for _, s := range kept.GetSpans() {
			if s.Name == "fallback.replay" {
				return attributes(s)
			}
		}
		return ""
	}
	for answered() == "" { // it may have heard of the return
		for _, err := range []error{a.h.Pin(fallback.Local), deaf.h.Pin(fallback.Local), a.h.Pin(fallback.Primary), deaf.rdb.Incr(ctx, "n").Err()} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := answered(); !strings.Contains(got, "fallback.backend=upstash") {
		t.Errorf("the replay has %s", got)
	}
}
