package main_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/fallbacktest"
)

// start builds and runs the application, and returns its address. It ends with the test, and must end well.
func start(t *testing.T, local string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(path) //nolint:noctx // it is told to end, and not killed
	cmd.Env = append(os.Environ(), "ADDR=127.0.0.1:0", "REDIS_URL=", "REDIS__URL=", "REDIS_FALLBACK_URL="+local, "REDIS_FALLBACK_QUOTA_HOLD=200ms",
		"REDIS_FALLBACK_QUOTA_MAX_HOLD=200ms", "REDIS_FALLBACK_PROBE_EVERY=50ms", "OTEL_EXPORTER_OTLP_ENDPOINT=")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	addr, over := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(over)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said.WriteString(lines.Text() + "\n")
			if m := regexp.MustCompile(`addr=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
				addr <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-over
		if err := cmd.Wait(); err != nil {
			t.Errorf("it ended with %v\n%s", err, said.String())
		}
	})
	select {
	case a := <-addr:
		return "http://" + a
	case <-over:
		t.Fatal("it does not listen")
	case <-time.After(time.Minute):
		t.Fatal("it does not listen, after a minute")
	}
	return ""
}

func call(t *testing.T, method, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	// As a Prometheus of version 3 asks, which takes names with dots.
	req.Header.Set("Accept", "text/plain;version=1.0.0;escaping=allow-utf-8")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// TestApp starts it twice: its primary is a new one each time, and local is not.
func TestApp(t *testing.T) {
	t.Parallel()
	local := fallbacktest.Run(t).URL()
	for _, name := range []string{"first", "again"} {
		t.Run(name, func(t *testing.T) { oneRun(t, local) })
	}
}

func oneRun(t *testing.T, local string) {
	t.Helper()
	url := start(t, local)
	servedBy := func(want string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			resp, body := call(t, http.MethodGet, url+"/")
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", resp.Status, body)
			}
			if resp.Header.Get("X-Served-By") == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("visits are counted by %q, not by %s", resp.Header.Get("X-Served-By"), want)
			}
		}
	}
	servedBy("primary")
	call(t, http.MethodPost, url+"/exhaust")
	servedBy("local")
	if resp, body := call(t, http.MethodGet, url+"/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("on local it is not well: %s", body)
	}
	_, metrics := call(t, http.MethodGet, url+"/metrics")
	for _, want := range []string{
		`(?m)^redis_fallback_serving\{.*fallback_primary="builtin-[a-z2-7]+".*\} 1$`,
		`(?m)^redis_builtin_[a-z2-7]+_rate_limit_exceeded_total\{.*redis_backend="builtin-.*\} [1-9]`,
		`(?m)^redis_fallback_journal_oldest_age_seconds\{`,
	} {
		if !regexp.MustCompile(want).MatchString(metrics) {
			t.Errorf("%s is not in\n%s", want, metrics)
		}
	}
	call(t, http.MethodPost, url+"/renew")
	servedBy("primary")
}
