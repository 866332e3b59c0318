package examples_test

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each example runs with nothing installed, reaches the quota of the embedded Redis, goes on, and ends when it is
// interrupted.
func TestProgramsRunByThemselves(t *testing.T) {
	t.Parallel()
	programs := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", programs, "./...").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, sign := range map[string]string{ // that local serves, in a line of the program
		"worker":    "while local served",
		"tasks":     "while local served",
		"locks":     "local serves",
		"ratelimit": "listening on ", // and then in a header
		"sessions":  "listening on ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines, interrupt := start(t, filepath.Join(programs, name))
			for line := range lines {
				if !strings.Contains(line, sign) {
					continue
				}
				if url, listens := strings.CutPrefix(line, sign); listens && strings.HasPrefix(url, "http") {
					visit(t, url)
				}
				break
			}
			interrupt()
		})
	}
}

// start runs a program, whose lines must be read. interrupt checks that it ends well.
func start(t *testing.T, program string) (lines <-chan string, interrupt func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "REDIS_") && !strings.HasPrefix(v, "OTEL_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "ADDR=127.0.0.1:0")
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	all := make(chan string)
	go func() {
		defer close(all)
		for s := bufio.NewScanner(out); s.Scan(); {
			all <- s.Text()
		}
	}()
	return all, func() {
		t.Helper()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("it has ended by itself: %v", err)
		}
		for range all { // to its end, or it could not write
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("interrupted, it ends with %v", err)
		}
	}
}

// visit asks until local has answered.
func visit(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/login", strings.NewReader("user=ada"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode >= http.StatusInternalServerError {
			t.Fatalf("it answers %s", answer.Status)
		}
		if answer.Header.Get("X-Served-By") == "local" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("local has answered nothing within a minute")
		}
	}
}
