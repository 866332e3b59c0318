package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/examples/internal/quotatest"
	"github.com/redis-fallback/fallback/fallbacktest"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
)

// service is the example on two servers of its own, and a browser that visits it.
type service struct {
	*quotatest.Pair
	*clients
	url     string
	browser *http.Client
}

func newService(t *testing.T, otlp ...otlptracehttp.Option) *service {
	t.Helper()
	s := &service{Pair: &quotatest.Pair{Hosted: fallbacktest.Run(t), Local: fallbacktest.Run(t)}}
	c, err := open(t.Context(), s.Hosted.URL(), s.Local.URL(), otlp, quotatest.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	s.clients, s.RDB, s.Hook = c, c.rdb, c.hook
	srv := httptest.NewServer(newHandler(c))
	s.url = srv.URL
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.browser = &http.Client{Jar: jar}
	t.Cleanup(func() {
		srv.Close() // after the requests that are under way
		c.close()
	})
	// What is written before the mirror has begun is not on local.
	quotatest.Eventually(t, "the mirror", func() bool {
		s.RDB.Set(t.Context(), "warm", 1, 0)
		return s.Local.Data().Exists("warm")
	})
	return s
}

// ask asks for a page, and checks the answer and the server that it came from.
func (s *service) ask(t *testing.T, method, path string, form url.Values, server, want string) http.Header {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := s.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if got := strings.TrimSpace(string(body)); err != nil || got != want {
		t.Errorf("%s %s is answered %q, error %v; want %q", method, path, got, err, want)
	}
	if got := answer.Header.Get("X-Served-By"); got != server {
		t.Errorf("%s %s was answered by %q, want %q", method, path, got, server)
	}
	return answer.Header
}

// logIn logs the browser in, and waits until local knows the session.
func (s *service) logIn(t *testing.T) (key string) {
	t.Helper()
	answer := s.ask(t, http.MethodPost, "/login", url.Values{"user": {"lovelace"}}, "primary", "welcome")
	cookie, err := http.ParseSetCookie(answer.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	key = "session:" + cookie.Value
	quotatest.Eventually(t, "the session on local", func() bool { return s.Local.Data().Exists(key) })
	return key
}

// Nobody is logged out by a switch, and no visit is lost.
func TestSessionsThroughAQuota(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.ask(t, http.MethodGet, "/", nil, "primary", "log in first")
	key := s.logIn(t)
	s.ask(t, http.MethodGet, "/", nil, "primary", "lovelace, this is visit 1")
	quotatest.Eventually(t, "the visit on local", func() bool {
		text, _ := s.Local.Data().Get(key)
		return strings.Contains(text, `"Visits":1`)
	})

	s.Hosted.Exhaust()
	s.ask(t, http.MethodGet, "/", nil, "local", "lovelace, this is visit 2")
	s.ask(t, http.MethodGet, "/", nil, "local", "lovelace, this is visit 3")

	s.Renew(t)
	s.ask(t, http.MethodGet, "/", nil, "primary", "lovelace, this is visit 4")
	if left := s.Hosted.Data().TTL(key); left <= 0 || left > lifetime {
		t.Errorf("the session ends in %v, want %v at most", left, lifetime)
	}
}
