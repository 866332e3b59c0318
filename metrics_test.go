package fallback_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/redis-fallback/fallback"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// gauges collects the metrics of the hooks that are made with its option.
type gauges struct {
	reader *sdkmetric.ManualReader
	option fallback.Option
	seen   func(map[string]float64)
}

func newGauges(t *testing.T) *gauges {
	t.Helper()
	g := &gauges{reader: sdkmetric.NewManualReader()}
	p := sdkmetric.NewMeterProvider(sdkmetric.WithReader(g.reader))
	t.Cleanup(func() { _ = p.Shutdown(context.Background()) })
	g.option = fallback.WithMeterProvider(p)
	return g
}

func (g *gauges) collect(t *testing.T) []metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := g.reader.Collect(ctx, &all); err != nil {
		t.Fatal(err)
	}
	var ours []metricdata.Metrics
	for _, s := range all.ScopeMetrics {
		if s.Scope == (instrumentation.Scope{Name: scopeOfOurs}) {
			ours = append(ours, s.Metrics...)
		}
	}
	return ours
}

// values returns what each metric says, a histogram how much it has recorded.
func (g *gauges) values(t *testing.T) map[string]float64 {
	t.Helper()
	v := map[string]float64{}
	for _, m := range g.collect(t) {
		v[m.Name] = 0
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				v[m.Name] += float64(p.Value)
			}
		case metricdata.Gauge[int64]:
			for _, p := range d.DataPoints {
				v[m.Name] += float64(p.Value)
			}
		case metricdata.Gauge[float64]:
			for _, p := range d.DataPoints {
				v[m.Name] += p.Value
			}
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				v[m.Name] += float64(p.Count)
			}
		default:
			t.Fatalf("%s is a %T", m.Name, d)
		}
	}
	if g.seen != nil {
		g.seen(v)
	}
	return v
}

// some is any value above 0.
const some = -1

// become waits until metrics have these values.
func (g *gauges) become(t *testing.T, want map[string]float64) {
	t.Helper()
	wrong := func() (names []string) {
		v := g.values(t)
		for name, w := range want {
			if got, ok := v[name]; !ok || w != some && got != w || w == some && got <= 0 {
				names = append(names, fmt.Sprintf("%s=%v", name, got))
			}
		}
		return names
	}
	defer func() {
		if t.Failed() {
			t.Log(wrong())
		}
	}()
	eventually(t, fmt.Sprint(wrong()), func() bool { return len(wrong()) == 0 })
}

// Through a quota, outages, a return, dead letters and all else that can happen each metric says so.
func TestEveryMetricSaysWhatHappens(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	moved := map[string]bool{}
	seen := func(v map[string]float64) {
		mu.Lock()
		defer mu.Unlock()
		for name, n := range v {
			moved[name] = moved[name] || n > 0
		}
	}
	t.Run("parts", func(t *testing.T) {
		for name, part := range map[string]func(*testing.T, *gauges){
			"a quota":        metricsOfAQuota,
			"outages":        metricsOfOutages,
			"a full journal": metricsOfAFullJournal,
			"a fence":        metricsOfAFence,
			"the mirror":     metricsOfTheMirror,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				g := newGauges(t)
				g.seen = seen
				part(t, g)
			})
		}
	})
	if t.Failed() || t.Skipped() || len(moved) == 0 {
		return
	}
	for name, m := range moved {
		if !m {
			t.Errorf("%s was 0 all the time", name)
		}
	}
}

// After Shutdown nothing is read any more, and a hook that is switched off has no metrics.
func TestMetricsEndWithShutdown(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	p := newPair(t, g.option)
	if n := len(g.values(t)); n < 40 {
		t.Errorf("%d metrics", n)
	}
	if err := p.h.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if v := g.values(t); len(v) != 0 {
		t.Errorf("after Shutdown: %v", v)
	}
}

// Another name stands in the names of metrics, made such that OpenTelemetry takes it and nothing is mixed up.
func TestMetricsHaveThePrimarysName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"":            "redis.upstash.command.success",
		"eu-west.1":   "redis.eu-west.1.command.success",
		"my db (old)": "redis.my_db__old_.command.success",
		"Local":       "redis.primary.command.success",
		"fallback":    "redis.primary.command.success",
	} {
		g := newGauges(t)
		p := newPair(t, g.option, fallback.WithName(name))
		p.rdb.Ping(ctx)
		v := g.values(t)
		if v[want] != 1 || v["redis.local.command.success"] != 0 {
			t.Errorf("%q: %v", name, v)
		}
	}
}
