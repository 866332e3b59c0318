package fallback

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"weak"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope names this library to OpenTelemetry.
const scope = "github.com/redis-fallback/fallback"

// providers are where spans and metrics go; nil is otel's global one.
type providers struct {
	tracers trace.TracerProvider
	meters  metric.MeterProvider
}

// WithTracerProvider sets where spans go. Default otel.GetTracerProvider(), as it is when a span begins.
// Without a tracer nothing is recorded, and while the primary answers there are no spans at all.
//
// What local answers is in a span fallback.replay, a child of the caller's, with the attributes
// db.system.name, db.operation.name and db.operation.batch.size as OpenTelemetry has them for Redis;
// fallback.backend, the name of the server that answered, fallback.primary, that of WithName, and
// fallback.reason; fallback.cause.type, fallback.limit.kind, fallback.limit.value and
// fallback.limit.usage for what the primary said. A command that the server does not know is named _OTHER,
// so that nothing but names of commands is shown. error.type is set where the replay itself failed, and
// so is db.response.status_code if that was an error reply: its code, or else limit_ and the kind of a
// limit, hung, timeout, canceled, dial, connection_closed, pool_timeout, tx_failed, local_down, journal_full,
// held, late, budget, other_primary, pinned or _OTHER.
//
// fallback.trip, fallback.return and fallback.drain are spans of their own. A trip is linked to the span
// of the call that met the refusal; a return to the trip and its drain; a drain to the trip. A drain that
// Drain makes is a child of its caller's span. Another process' switch is a span of no length here.
func WithTracerProvider(p trace.TracerProvider) Option { return func(c *config) { c.otel.tracers = p } }

// WithMeterProvider sets where metrics go: see docs/metrics.md. Default otel.GetMeterProvider() at New, which
// stands for the one that is set later, if none has been. They are read when they are collected, and cost
// calls nothing. Shutdown ends that. Hooks of different primaries are told apart by WithName, in the
// attribute fallback.primary.
func WithMeterProvider(p metric.MeterProvider) Option { return func(c *config) { c.otel.meters = p } }

// telemetry is what a hook has at OpenTelemetry.
type telemetry struct {
	trip    atomic.Pointer[trace.SpanContext] // of the last one
	reading atomic.Pointer[metric.Registration]

	switching, draining metric.Float64Histogram
}

// origin is where a switch came from: when this process began it, and in which span.
type origin struct {
	began time.Time
	span  trace.SpanContext
}

func originIn(ctx context.Context) origin {
	return origin{time.Now(), trace.SpanContextFromContext(ctx)}
}

func (h *Hook) tracer() trace.Tracer {
	p := h.cfg.otel.tracers
	if p == nil {
		p = otel.GetTracerProvider()
	}
	return p.Tracer(scope)
}

// span is one of ours that lasts.
type span struct{ trace.Span }

func (s span) context() trace.SpanContext { return s.SpanContext() }

// replaying begins the span of a command that local is about to answer. cause is why the primary did not.
func (h *Hook) replaying(ctx context.Context, e *era, cause error, cmd redis.Cmder) (context.Context, span) {
	return h.beginReplay(ctx, e, cause, attribute.String("db.operation.name", operation(cmd)))
}

// replayingBatch is replaying for a part of a pipeline, or a transaction.
func (h *Hook) replayingBatch(ctx context.Context, e *era, b *batch, part []redis.Cmder) (context.Context, span) {
	name := operation(part[0])
	for _, cmd := range part[1:] {
		if name != "" && operation(cmd) != name {
			name = ""
		}
	}
	if len(part) == 1 && !b.tx {
		return h.beginReplay(ctx, e, e.refusal(), attribute.String("db.operation.name", name))
	}
	kind := "PIPELINE"
	if b.tx {
		kind = "MULTI"
	}
	attrs := []attribute.KeyValue{attribute.String("db.operation.name", strings.TrimSpace(kind+" "+name))}
	if len(part) > 1 {
		attrs = append(attrs, attribute.Int("db.operation.batch.size", len(part)))
	}
	return h.beginReplay(ctx, e, e.refusal(), attrs...)
}

// beginReplay begins a span that is no CLIENT's: the client of local has one of its own within it, where it
// has a hook for that, and what counts calls of databases by their spans must not count this one twice.
func (h *Hook) beginReplay(ctx context.Context, e *era, cause error, attrs ...attribute.KeyValue) (context.Context, span) {
	// What samplers are to see comes with the start, all else only if somebody looks.
	ctx, s := h.tracer().Start(ctx, "fallback.replay", trace.WithAttributes(system), trace.WithAttributes(attrs...))
	if s.IsRecording() {
		s.SetAttributes(
			attribute.String("fallback.backend", h.backup.name),
			attribute.String("fallback.primary", h.cfg.name),
			attribute.String("fallback.reason", string(e.reason)))
		s.SetAttributes(causeAttributes(cause)...)
	}
	return ctx, span{s}
}

var system = attribute.String("db.system.name", "redis")

// operation names a command, if it is one: what a program has put in its place may be anything.
func operation(cmd redis.Cmder) string {
	args := cmd.Args()
	if _, known := command.Lookup(args[:min(len(args), 1)]); !known {
		return "_OTHER"
	}
	return command.Name(args)
}

// causeAttributes say why the primary does not serve.
func causeAttributes(cause error) []attribute.KeyValue {
	if cause == nil {
		return nil
	}
	attrs := []attribute.KeyValue{attribute.String("fallback.cause.type", errorType(cause))}
	if limit := limitOf(cause); limit != nil {
		attrs = append(attrs, attribute.String("fallback.limit.kind", string(limit.Kind)))
		if limit.Limit > 0 {
			attrs = append(attrs, attribute.Int64("fallback.limit.value", limit.Limit))
		}
		if limit.Usage > 0 {
			attrs = append(attrs, attribute.Int64("fallback.limit.usage", limit.Usage))
		}
	}
	return attrs
}

// passedOn corrects the span around what another switch has sent to the primary after all.
func (h *Hook) passedOn(ctx context.Context) {
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("fallback.backend", h.primary.name))
}

// fail marks a span as failed. Neither an event nor a description has the error's text: keys may stand in it.
func (s span) fail(err error) {
	if err == nil || err == redis.Nil || !s.IsRecording() { //nolint:errorlint // as go-redis returns it
		return
	}
	s.SetStatus(codes.Error, "")
	s.SetAttributes(attribute.String("error.type", errorType(err)))
	if code := replyCode(localPart(err)); code != "" {
		s.SetAttributes(attribute.String("db.response.status_code", code))
	}
}

func (s span) end(err error) {
	s.fail(err)
	s.End()
}

// endBatch ends the span of a batch, with the first error among what local was given.
func (s span) endBatch(b *batch, part []redis.Cmder, err error) {
	first := error(nil)
	if b.tx {
		first = err // EXECABORT, say, which no command has
	}
	for _, cmd := range part {
		if cerr := cmd.Err(); cerr != nil && cerr != redis.Nil { //nolint:errorlint // as go-redis returns it
			first = cerr
			break
		}
	}
	s.end(first)
}

// links returns links to those of the spans that there are.
func links(of ...trace.SpanContext) trace.SpanStartOption {
	var all []trace.Link
	for _, s := range of {
		if s.IsValid() {
			all = append(all, trace.Link{SpanContext: s})
		}
	}
	return trace.WithLinks(all...)
}

// lastTrip returns the span of the last trip.
func (h *Hook) lastTrip() trace.SpanContext {
	if s := h.signals.trip.Load(); s != nil {
		return *s
	}
	return trace.SpanContext{}
}

// switchSpan records a switch that is over, and returns a context for its log line. Nobody waits for it:
// switches are announced one after the other, beside those who call.
func (h *Hook) switchSpan(ev Event) context.Context {
	ctx := context.Background()
	if ev.From == ev.To {
		return ctx
	}
	name, to, from := "fallback.trip", h.backup.name, links(ev.from.span)
	if ev.To == Primary {
		name, to, from = "fallback.return", h.primary.name, links(h.lastTrip(), ev.from.span)
	}
	where := []attribute.KeyValue{
		attribute.String("fallback.primary", h.cfg.name),
		attribute.String("fallback.reason", string(ev.Reason)),
	}
	began := ev.from.began
	if began.IsZero() {
		began = ev.At
	}
	ctx, s := h.tracer().Start(ctx, name, trace.WithNewRoot(), trace.WithTimestamp(began), from,
		trace.WithAttributes(where...), trace.WithAttributes(causeAttributes(ev.Cause)...),
		trace.WithAttributes(attribute.String("fallback.backend", to), attribute.Int64("fallback.epoch", int64(ev.Epoch)))) //nolint:gosec // counts switches
	s.End(trace.WithTimestamp(ev.At))
	if at := s.SpanContext(); ev.To == Local {
		h.signals.trip.Store(&at)
	}
	if h.signals.switching != nil && ev.lost >= 0 {
		h.signals.switching.Record(ctx, ev.lost.Seconds(), metric.WithAttributes(append(where, attribute.String("redis.backend", to))...))
	}
	return ctx
}

// drainSpan begins the span of a delivery; alone is one that a return makes, and no caller.
func (h *Hook) drainSpan(ctx context.Context, alone bool) (context.Context, drainSpan) {
	opts := []trace.SpanStartOption{
		links(h.lastTrip()),
		trace.WithAttributes(attribute.String("fallback.primary", h.cfg.name), attribute.String("fallback.backend", h.primary.name)),
	}
	if alone {
		opts = append(opts, trace.WithNewRoot())
	}
	began := time.Now()
	ctx, s := h.tracer().Start(ctx, "fallback.drain", opts...)
	return ctx, drainSpan{span{s}, h, began}
}

// drainSpan is the span of a delivery.
type drainSpan struct {
	span
	h     *Hook
	began time.Time
}

func (s drainSpan) endDrain(ctx context.Context, p journal.Progress, err error) {
	s.SetAttributes(
		attribute.Int64("fallback.drain.entries", p.Entries),
		attribute.Int64("fallback.drain.commands", p.Commands),
		attribute.Int64("fallback.drain.batches", p.Batches),
		attribute.Int64("fallback.drain.dead_letters", p.Dead),
	)
	s.end(err)
	if s.h.signals.draining == nil {
		return
	}
	attrs := []attribute.KeyValue{attribute.String("fallback.primary", s.h.cfg.name), attribute.String("redis.backend", s.h.primary.name)}
	if err != nil {
		attrs = append(attrs, attribute.String("error.type", errorType(err)))
	}
	s.h.signals.draining.Record(ctx, time.Since(s.began).Seconds(), metric.WithAttributes(attrs...))
}

// observe has the metrics read whenever they are collected. The callback holds the hook weakly, as timers do:
// one that was dropped with its clients is collected.
func (h *Hook) observe() {
	p := h.cfg.otel.meters
	if p == nil {
		p = otel.GetMeterProvider()
	}
	meter := p.Meter(scope)
	var errs []error
	histogram := func(d durations) metric.Float64Histogram {
		in, err := meter.Float64Histogram(d.name, metric.WithUnit("s"), metric.WithDescription(d.text),
			metric.WithExplicitBucketBoundaries(d.bounds...))
		errs = append(errs, err)
		return in
	}
	h.signals.switching, h.signals.draining = histogram(switchDuration), histogram(drainDuration)

	var reads []func(metric.Observer, *Status)
	var all []metric.Observable
	for _, in := range instruments {
		name, unit, text := in.fullName(h.cfg.name), metric.WithUnit(in.unit), metric.WithDescription(in.text)
		attrs := []attribute.KeyValue{attribute.String("fallback.primary", h.cfg.name)}
		switch in.of {
		case ofPrimary:
			attrs = append(attrs, attribute.String("redis.backend", h.primary.name))
		case ofLocal:
			attrs = append(attrs, attribute.String("redis.backend", h.backup.name))
		case ofBoth:
		}
		with := metric.WithAttributeSet(attribute.NewSet(attrs...))
		switch {
		case in.seconds != nil:
			g, err := meter.Float64ObservableGauge(name, unit, text)
			errs, all = append(errs, err), append(all, g)
			reads = append(reads, func(o metric.Observer, s *Status) { o.ObserveFloat64(g, in.seconds(s), with) })
		case in.counts:
			c, err := meter.Int64ObservableCounter(name, unit, text)
			errs, all = append(errs, err), append(all, c)
			reads = append(reads, func(o metric.Observer, s *Status) { o.ObserveInt64(c, in.value(s), with) })
		default:
			g, err := meter.Int64ObservableGauge(name, unit, text)
			errs, all = append(errs, err), append(all, g)
			reads = append(reads, func(o metric.Observer, s *Status) { o.ObserveInt64(g, in.value(s), with) })
		}
	}
	w := weak.Make(h)
	reading, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if h := w.Value(); h != nil {
			s := h.Status()
			for _, read := range reads {
				read(o, &s)
			}
		}
		return nil
	}, all...)
	for _, err := range append(errs, err) {
		if err != nil {
			otel.Handle(err)
		}
	}
	if err == nil && reading != nil {
		h.signals.reading.Store(&reading)
		runtime.AddCleanup(h, func(r metric.Registration) { _ = r.Unregister() }, reading)
	}
}

// stop ends the reading of metrics.
func (t *telemetry) stop() {
	if r := t.reading.Swap(nil); r != nil {
		_ = (*r).Unregister()
	}
}
