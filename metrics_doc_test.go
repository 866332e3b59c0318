package fallback_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

var update = flag.Bool("update", false, "write docs/metrics.md")

const metricsPage = "docs/metrics.md"

// docs/metrics.md is what a reader of the metrics gets: go test -run TestMetricsAreDocumented -update .
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	g := newGauges(t)
	p := newPair(t, g.option, unlooked())
	p.rdb.Ping(ctx)
	p.primary.Exhaust()
	if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
		t.Fatal(err)
	}
	p.primary.Renew()
	if _, err := p.h.Drain(ctx, 0); err != nil {
		t.Fatal(err)
	}
	g.become(t, map[string]float64{"redis.fallback.switch.duration": 1, "redis.fallback.drain.duration": 1})
	page := document(t, g.collect(t))
	if *update {
		if err := os.WriteFile(metricsPage, []byte(page), 0o644); err != nil { //nolint:gosec // to be read by all
			t.Fatal(err)
		}
	}
	if old, err := os.ReadFile(metricsPage); err != nil || string(old) != page {
		t.Errorf("%s is not what the code says (%v): go test -run TestMetricsAreDocumented -update .", metricsPage, err)
	}
}

// row is a metric as the page shows it.
type row struct{ name, kind, unit, attributes, text string }

func document(t *testing.T, all []metricdata.Metrics) string {
	t.Helper()
	var rows []row
	for _, m := range all {
		r := row{name: m.Name, unit: m.Unit, text: m.Description}
		if m.Unit == "" || m.Description == "" {
			t.Errorf("%s has no unit, or no description", m.Name)
		}
		var sets []attribute.Set
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			if r.kind = "counter"; !d.IsMonotonic || d.Temporality != metricdata.CumulativeTemporality {
				t.Errorf("%s is a sum that may fall", m.Name)
			}
			for _, p := range d.DataPoints {
				sets = append(sets, p.Attributes)
			}
		case metricdata.Gauge[int64]:
			r.kind = "gauge"
			for _, p := range d.DataPoints {
				sets = append(sets, p.Attributes)
			}
		case metricdata.Gauge[float64]:
			r.kind = "gauge"
			for _, p := range d.DataPoints {
				sets = append(sets, p.Attributes)
			}
		case metricdata.Histogram[float64]:
			r.kind = "histogram"
			for _, p := range d.DataPoints {
				sets = append(sets, p.Attributes)
			}
		}
		if len(sets) != 1 {
			t.Fatalf("%s has %d series", m.Name, len(sets))
		}
		var names []string
		for _, kv := range sets[0].ToSlice() {
			names = append(names, "`"+string(kv.Key)+"`")
		}
		r.attributes = strings.Join(names, ", ")
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.name, b.name) })
	var b strings.Builder
	fmt.Fprintf(&b, `# Metrics

Made from the code by `+"`go test -run TestMetricsAreDocumented -update .`"+`; do not edit.

The meter is that of `+"`WithMeterProvider`"+`, by default otel's global one, under the name `+"`%s`"+`. Counters and gauges are read when they are collected, and cost calls nothing. All are of this process, but for the journal and the dead letters, which are what local said at the last look: each second while local serves, else each 30 s.

`+"`upstash`"+` is the name of the primary: that of `+"`WithName`"+` takes its place, with _ for what OpenTelemetry does not take in a name, and `+"`primary`"+` where it is local or fallback. `+"`redis.backend`"+` is the name of the server that a metric is about, `+"`fallback.primary`"+` that of the hook's primary, which tells several hooks of a process apart. No attribute holds a key, a value or an address. Prometheus writes _ for each dot, and adds _total to counters and _seconds or _bytes to what is one.

| metric | kind | unit | attributes | |
|---|---|---|---|---|
`, scopeOfOurs)
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", r.name, r.kind, r.unit, r.attributes, r.text)
	}
	b.WriteString("\n`fallback.reason` of a switch is quota, storage, outage, pinned or recovered. A drain that failed has `error.type` as well, as a span has it: see `WithTracerProvider`.\n")
	return b.String()
}
