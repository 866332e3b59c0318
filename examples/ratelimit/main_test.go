package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis-fallback/fallback/examples/internal/quotatest"
)

// The limit holds on either server, and each counts for itself.
func TestLimitsThroughAQuota(t *testing.T) {
	t.Parallel()
	p := quotatest.New(t)
	hour := redis_rate.Limit{Rate: 3, Burst: 3, Period: time.Hour}
	h := limited(p.RDB, hour, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	ask := func(client, server string, want int) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = client + ":1234"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want || w.Header().Get("X-Served-By") != server {
			t.Errorf("%s got %d by %s, want %d by %s", client, w.Code, w.Header().Get("X-Served-By"), want, server)
		}
		if again := w.Header().Get("Retry-After"); (again != "") != (want == http.StatusTooManyRequests) {
			t.Errorf("%s may try again after %q", client, again)
		}
	}
	all := func(client, server string) {
		t.Helper()
		for range 3 {
			ask(client, server, http.StatusOK)
		}
		ask(client, server, http.StatusTooManyRequests)
	}
	all("192.0.2.1", "primary")
	p.Hosted.Exhaust()
	all("192.0.2.2", "local")
	all("192.0.2.1", "local")
	p.Renew(t)
	ask("192.0.2.2", "primary", http.StatusTooManyRequests) // what local counted has arrived
	all("192.0.2.3", "primary")
}

// When neither server counts, requests pass.
func TestLimiterOfNoServer(t *testing.T) {
	t.Parallel()
	p := quotatest.New(t)
	h := limited(p.RDB, redis_rate.PerMinute(1), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	p.Hosted.Exhaust()
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		if w.Code != want {
			t.Errorf("got %d, want %d", w.Code, want)
		}
	}
	p.Local.Exhaust()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if w.Code != http.StatusOK {
		t.Errorf("got %d without a server, want %d", w.Code, http.StatusOK)
	}
}
