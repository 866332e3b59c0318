package fallback_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// No key, value, channel, name, script or password stands in a span, a metric or a log line, whatever is
// used while the service switches and whatever the servers say about it.
func TestNoSecretIsInASpanOrAMetric(t *testing.T) {
	t.Parallel()
	kept := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept))
	g := newGauges(t)
	log := &lines{}
	p := pairOf(t, fallbacktest.Run(t, fallbacktest.WithPassword(secret+"-one")), fallbacktest.Run(t, fallbacktest.WithPassword(secret+"-two")),
		func(o *redis.Options) { o.ClientName = secret + "-client" },
		fallback.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		fallback.WithTracerProvider(provider), g.option, unlooked())
	spans := 0
	shown := func(when string) {
		t.Helper()
		all := log.String()
		for _, s := range kept.GetSpans() {
			spans++
			all += fmt.Sprintf("%+v\n", s)
		}
		kept.Reset()
		for _, m := range g.collect(t) {
			all += fmt.Sprintf("%+v\n", m)
		}
		if at := strings.Index(strings.ToLower(all), secret); at >= 0 {
			t.Fatalf("%s: it is shown: %s", when, all[max(0, at-300):min(len(all), at+100)])
		}
	}
	for _, reply := range []string{
		"NOPERM User " + secret + " has no permissions to access the '" + secret + ":k' key", secret + " is no code",
		"ERR unknown command '" + secret + "'", "MISCONF " + secret, fallbacktest.ReplyRequests,
	} {
		for _, s := range []*fallbacktest.Server{p.primary, p.local} {
			s.Refuse(reply)
			useAll(p)
			s.Renew()
			p.h.Pin(fallback.Local)
			useAll(p)
			p.rdb.Do(ctx, secret, secret)
			p.rdb.Eval(ctx, "return redis.error_reply('"+strings.ToUpper(secret)+" "+secret+"')", []string{secret})
			p.h.Drain(ctx, 0)
			p.h.Pin(fallback.Primary)
			p.h.Unpin()
			shown(reply)
		}
	}
	p.primary.Exhaust()
	useAll(p)
	p.local.Stop()
	useAll(p)
	if err := p.h.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	shown("both gone")
	if spans < 100 {
		t.Errorf("%d spans: this shows nothing", spans)
	}
}
