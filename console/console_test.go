package console_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/console"
)

// What the page loads lies beside it, so that it works wherever it is mounted.
func TestItWorksUnderAnyPrefix(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, mount := range map[string]func(*http.ServeMux){
		"/":                func(m *http.ServeMux) { m.Handle("/", r.page) },
		"/debug/fallback/": func(m *http.ServeMux) { m.Handle("/debug/fallback/", r.page) },
		"/stripped/":       func(m *http.ServeMux) { m.Handle("/stripped/", http.StripPrefix("/stripped/", r.page)) },
		"/stripped/to/slash/": func(m *http.ServeMux) {
			m.Handle("/stripped/to/slash/", http.StripPrefix("/stripped/to/slash", r.page))
		},
	} {
		mux := http.NewServeMux()
		mount(mux)
		for _, file := range []string{"", "status.json", "healthz", "style.css", "console.js", "icon.svg"} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, name+file, nil))
			if w.Code != http.StatusOK || w.Body.Len() == 0 {
				t.Errorf("%s%s: %d", name, file, w.Code)
			}
		}
	}
	link := regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	for _, m := range link.FindAllStringSubmatch(r.get(t, "").Body.String(), -1) {
		if !strings.HasPrefix(m[1], "#") && (strings.ContainsAny(m[1], ":/") || r.get(t, m[1]).Code != http.StatusOK) {
			t.Errorf("the page loads %q", m[1])
		}
	}
	if w := r.get(t, "nosuch"); w.Code != http.StatusNotFound {
		t.Errorf("nosuch: %d", w.Code)
	}
}

func TestItIsReadOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
		for _, name := range []string{"", "status.json", "healthz", "events", "style.css"} {
			w := httptest.NewRecorder()
			r.page.ServeHTTP(w, httptest.NewRequest(method, prefix+name, nil))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", method, name, w.Code, w.Header().Get("Allow"))
			}
		}
	}
	for _, name := range []string{"", "status.json", "healthz", "events", "style.css"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, r.srv.URL+prefix+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := r.srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(reply.Body)
		_ = reply.Body.Close()
		if reply.StatusCode != http.StatusOK || len(body) > 0 {
			t.Errorf("HEAD %s: %d with %d bytes", name, reply.StatusCode, len(body))
		}
	}
}

// A strict policy is of use only if the page needs nothing that it forbids.
func TestNothingStandsInThePageThatItsPolicyForbids(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.primary.Exhaust()
	r.set(t)
	w := r.get(t, "")
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("the headers are %v", w.Header())
	}
	for _, forbidden := range []string{`<script>`, `<style`, ` style=`, ` on\w+=`, `javascript:`} {
		if m := regexp.MustCompile(forbidden).FindString(w.Body.String()); m != "" {
			t.Errorf("the page has %q in it", m)
		}
	}
}

// A browser that has a file asks whether it has changed, and is not sent it again.
func TestFilesAreSentOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	tag := r.get(t, "style.css").Header().Get("ETag")
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, prefix+"style.css", nil)
	req.Header.Set("If-None-Match", tag)
	r.page.ServeHTTP(w, req)
	if tag == "" || w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("tag %q, code %d, %d bytes", tag, w.Code, w.Body.Len())
	}
}

func TestStatusThroughAQuota(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set(t)
	s := r.status(t)
	if s.Serving != "primary" || s.State != "primary" || s.Headline != "upstash serves." || !s.Answers || s.Degraded || s.Level == "error" || s.Primary.Answered == 0 {
		t.Errorf("%+v", s)
	}
	r.primary.Exhaust()
	r.set(t)
	s = r.status(t)
	if s.Serving != "local" || s.Reason != "quota" || !s.Answers || !s.Degraded || s.NextProbe == nil || s.Since.IsZero() ||
		!strings.Contains(s.Cause, "max requests limit exceeded") {
		t.Errorf("%+v", s)
	}
	if f := s.Findings[0]; f.Code != "quota" || f.Level != "warning" || !strings.Contains(f.Do, "it is looked at in ") || f.Command == "" {
		t.Errorf("%+v", f)
	}
	if len(s.History) != 1 || s.History[0].From != "primary" || s.History[0].To != "local" || s.History[0].Cause == "" {
		t.Errorf("%+v", s.History)
	}
	eventually(t, "the fleet", func() bool { s = r.status(t); return len(s.Processes) == 1 && s.Journal.Entries > 0 })
	if !s.Processes[0].Self || s.Processes[0].Host == "" {
		t.Errorf("%+v", s.Processes)
	}
	// Rates need two looks, a second apart.
	eventually(t, "rates", func() bool { return r.status(t).Local.PerSecond != nil })
	page := r.get(t, "").Body.String()
	for _, want := range []string{"Local serves: upstash refuses for its limit.", "● LOCAL", "primary → local", "Next probe of upstash", "redis-fallback probe --return", "<polygon"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	r.primary.Renew()
	eventually(t, "the return", func() bool { _ = r.h.Probe(t.Context()); return r.h.Serving() == fallback.Primary })
	if s := r.status(t); len(s.History) != 2 || s.History[0].To != "primary" || s.Serving != "primary" {
		t.Errorf("the newest switch is not the first: %+v", s.History)
	}
}

// 200 as long as some server answers: that only one does is a field.
func TestHealthz(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	check := func(when string, code int, status string, degraded bool, serving string) {
		t.Helper()
		w := r.get(t, "healthz")
		var h struct {
			Status, Serving string
			Degraded        bool
		}
		if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || w.Code != code || h.Status != status || h.Degraded != degraded || h.Serving != serving {
			t.Errorf("%s: %d %+v (%v), want %d %s", when, w.Code, h, err, code, status)
		}
	}
	r.set(t)
	check("all is well", 200, "ok", false, "primary")
	r.local.Stop()
	eventually(t, "local is known to be gone", func() bool { return r.h.Status().Local.Breaker == "open" })
	check("local is gone", 200, "degraded", true, "primary")
	if s := r.status(t); s.Findings[0].Code != "local-down" || s.Level != "error" {
		t.Errorf("%+v", s.Findings)
	}
	if err := r.local.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "local is back", func() bool { return r.h.Status().Local.Breaker == "closed" })
	r.primary.Exhaust()
	r.set(t)
	check("over quota", 200, "degraded", true, "local")
	r.local.Stop()
	eventually(t, "nobody answers", func() bool { return r.h.Status().Local.Breaker == "open" })
	check("both are gone", 503, "down", true, "local")
	if s := r.status(t); s.Answers || s.Headline != "Neither server answers." || s.Findings[0].Code != "down" {
		t.Errorf("%+v", s)
	}
}

// A switched-off hook, and one without a client, have a page as well.
func TestAHookThatDoesNothing(t *testing.T) {
	t.Setenv("REDIS_URL", "redis://127.0.0.1:1")
	t.Setenv("REDIS_FALLBACK_ENABLED", "false")
	rdb, h, err := fallback.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	w := httptest.NewRecorder()
	console.Handler(h).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if !strings.Contains(w.Body.String(), "The fallback is switched off") || !strings.Contains(w.Body.String(), "set REDIS_FALLBACK_URL") {
		t.Error(w.Body.String())
	}
}
