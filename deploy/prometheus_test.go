package deploy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// patience bounds each wait of these tests, on a machine that does other things as well.
const patience = time.Minute

// shrink is how much shorter times in the rules are here: an hour is 24 s.
const shrink = 150

// program returns the path of a program that these tests need.
func program(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		tb.Skipf("%s is not installed: this test needs it", name)
	}
	return path
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within %v", what, patience)
		}
	}
}

var (
	ages   = regexp.MustCompile(`_seconds\) > (\d+)`)
	ranges = regexp.MustCompile(`(\[|for: )(\d+)([smh])`)
)

// shorter returns the rules with shorter times, and thresholds of times.
func shorter(rules string) string {
	units := map[string]float64{"s": 1000, "m": 60_000, "h": 3_600_000}
	rules = ranges.ReplaceAllStringFunc(rules, func(s string) string {
		m := ranges.FindStringSubmatch(s)
		n, _ := strconv.ParseFloat(m[2], 64)
		ms := n * units[m[3]] / shrink
		if m[1] == "[" {
			ms = max(ms, 5000) // some scrapes must be within it
		} else {
			ms = min(ms, 5000) // one that fails, on a busy machine, begins it anew
		}
		return fmt.Sprintf("%s%.0fms", m[1], ms)
	})
	return ages.ReplaceAllStringFunc(rules, func(s string) string {
		n, _ := strconv.ParseFloat(ages.FindStringSubmatch(s)[1], 64)
		return fmt.Sprintf("_seconds) > %g", n/shrink)
	})
}

// prometheus is a real one.
type prometheus struct {
	tb  testing.TB
	url string

	fired, cleared map[string]bool // alerts that were seen to
}

// startPrometheus starts one that scrapes target each second and has the rules of alerts.yml, made
// shorter. It ends with the test.
func startPrometheus(tb testing.TB, target string) *prometheus {
	tb.Helper()
	path, dir := program(tb, "prometheus"), tb.TempDir()
	rules, err := os.ReadFile("prometheus/alerts.yml")
	if err != nil {
		tb.Fatal(err)
	}
	config := fmt.Sprintf(`global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 500ms}
rule_files: [alerts.yml]
scrape_configs: [{job_name: app, static_configs: [{targets: [%q]}]}]
`, target)
	for name, text := range map[string]string{"prometheus.yml": config, "alerts.yml": shorter(string(rules))} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		tb.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	output, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), path, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Wait() // its context has ended
		_ = output.Close()
		if log, err := os.ReadFile(output.Name()); err == nil && tb.Failed() {
			tb.Logf("prometheus said:\n%s", log)
		}
	})
	p := &prometheus{tb: tb, url: "http://" + addr, fired: map[string]bool{}, cleared: map[string]bool{}}
	eventually(tb, "prometheus is ready", func() bool {
		resp, err := http.Get(p.url + "/-/ready") //nolint:noctx // a test
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// series is one of an answer.
type series struct {
	Metric map[string]string
	Value  [2]any
	Values [][2]any
}

// top returns the sample that is furthest from 0, and whether there is any that is a number.
func (s series) top() (top float64, ok bool) {
	for _, v := range append(s.Values, s.Value) {
		text, _ := v[1].(string)
		if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) {
			ok = true
			if math.Abs(f) > math.Abs(top) {
				top = f
			}
		}
	}
	return top, ok
}

// ask calls the API and decodes its data.
func (p *prometheus) ask(path string, q url.Values, data any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path+"?"+q.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("prometheus: %s", answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// now returns what an expression is at this moment.
func (p *prometheus) now(expr string) []series {
	p.tb.Helper()
	var data struct{ Result []series }
	if err := p.ask("/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		p.tb.Fatalf("%s: %v", expr, err)
	}
	return data.Result
}

// since returns what an expression has been, second by second.
func (p *prometheus) since(start time.Time, expr string) ([]series, error) {
	var data struct{ Result []series }
	at := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
	err := p.ask("/api/v1/query_range", url.Values{
		"query": {expr}, "start": {at(start)}, "end": {at(time.Now())}, "step": {"1"},
	}, &data)
	return data.Result, err
}

func (p *prometheus) isFiring(alert string) bool {
	p.tb.Helper()
	return len(p.now(fmt.Sprintf("ALERTS{alertname=%q, alertstate=\"firing\"}", alert))) > 0
}

func (p *prometheus) fires(alert string) {
	p.tb.Helper()
	eventually(p.tb, alert+" fires", func() bool { return p.isFiring(alert) })
	p.fired[alert] = true
	p.tb.Logf("%s fires", alert)
}

func (p *prometheus) clears(alert string) {
	p.tb.Helper()
	eventually(p.tb, alert+" clears", func() bool { return !p.isFiring(alert) })
	p.cleared[alert] = true
	p.tb.Logf("%s has cleared", alert)
}
