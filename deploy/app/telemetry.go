package main

import (
	"context"
	"errors"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
)

// telemetry is where metrics and spans go: metrics to a page for Prometheus, spans over OTLP to where
// OTEL_EXPORTER_OTLP_ENDPOINT says, and nowhere without it.
type telemetry struct {
	meters *metric.MeterProvider
	traces *trace.TracerProvider
	page   http.Handler
}

func newTelemetry(ctx context.Context) (*telemetry, error) {
	registry := prometheus.NewRegistry()
	// The names must be those of the rules whatever a Prometheus asks for: one of version 3 would be given
	// names with dots by other strategies.
	reader, err := exporter.New(exporter.WithRegisterer(registry),
		exporter.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes))
	if err != nil {
		return nil, err
	}
	var opts []trace.TracerProviderOption
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" {
		spans, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, err
		}
		opts = append(opts, trace.WithBatcher(spans))
	}
	return &telemetry{
		meters: metric.NewMeterProvider(metric.WithReader(reader)),
		traces: trace.NewTracerProvider(opts...),
		page:   promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
	}, nil
}

func (t *telemetry) shutdown(ctx context.Context) error {
	return errors.Join(t.traces.Shutdown(ctx), t.meters.Shutdown(ctx))
}
