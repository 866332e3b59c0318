package deploy_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func readAlerts(tb testing.TB) []alert {
	tb.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	readYAML(tb, "prometheus/alerts.yml", &file)
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func readYAML(tb testing.TB, path string, v any) {
	tb.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, v); err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
}

func TestPromtool(t *testing.T) {
	t.Parallel()
	path := program(t, "promtool")
	for _, args := range []string{"check config prometheus/prometheus.yml", "check rules prometheus/alerts.yml", "test rules prometheus/alerts_test.yml"} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), path, strings.Fields(args)...).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestEachAlertIsTestedBothWays(t *testing.T) {
	t.Parallel()
	var file struct {
		Tests []struct {
			Alerts []struct {
				Name   string `yaml:"alertname"`
				Expect []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, "prometheus/alerts_test.yml", &file)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, a := range test.Alerts {
			if len(a.Expect) > 0 {
				fires[a.Name] = true
			} else {
				silent[a.Name] = true
			}
		}
	}
	for _, a := range readAlerts(t) {
		if !fires[a.Alert] || !silent[a.Alert] {
			t.Errorf("%s: a test that it fires: %v, that it does not: %v", a.Alert, fires[a.Alert], silent[a.Alert])
		}
		if s := a.Labels["severity"]; s != "warning" && s != "critical" {
			t.Errorf("%s has severity %q", a.Alert, s)
		}
		for _, want := range []string{"summary", "description", "runbook_url"} {
			if a.Annotations[want] == "" {
				t.Errorf("%s has no %s", a.Alert, want)
			}
		}
	}
}

// documented are the metrics of docs/metrics.md, as Prometheus is given them.
func documented(tb testing.TB) []*regexp.Regexp {
	tb.Helper()
	raw, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		tb.Fatal(err)
	}
	var all []*regexp.Regexp
	for _, name := range regexp.MustCompile("(?m)^\\| `(redis\\.[a-z_.{}]+)`").FindAllStringSubmatch(string(raw), -1) {
		p := strings.ReplaceAll(regexp.QuoteMeta(strings.ReplaceAll(name[1], ".", "_")), `\{primary\}`, `.+`)
		all = append(all, regexp.MustCompile("^"+p+"(_seconds|_bytes)?(_total|_bucket|_sum|_count)?$"))
	}
	if len(all) < 40 {
		tb.Fatalf("%d metrics in docs/metrics.md", len(all))
	}
	return all
}

// named finds the metrics in an expression.
var named = regexp.MustCompile(`redis_(\.\+_)?[a-z_]+`)

// TestExpressionsNameMetricsThatExist finds a metric that was renamed, where no Prometheus is installed.
func TestExpressionsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	all := documented(t)
	exprs := readDashboard(t).expressions()
	for _, a := range readAlerts(t) {
		exprs = append(exprs, a.Expr)
	}
	for _, expr := range exprs {
		for _, name := range named.FindAllString(expr, -1) {
			name = strings.Replace(name, ".+", "upstash", 1)
			exists := name == "redis_backend" // a label
			for _, re := range all {
				exists = exists || re.MatchString(name)
			}
			if !exists {
				t.Errorf("%s is not in docs/metrics.md: %s", name, expr)
			}
		}
	}
}
