package main

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/examples/internal/quotatest"
	"github.com/redis-fallback/fallback/fallbacktest"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
)

// span is one as a backend for traces gives it back.
type span struct {
	trace, id, parent, name string
	failed                  bool
	attributes              map[string]string
	links                   []string // ids of spans
}

// backend is where traces are sent and read again.
type backend interface {
	// endpoint is the URL that takes spans over OTLP.
	endpoint() string
	// trace returns the spans of one trace, as far as they have come.
	trace(t *testing.T, id string) []span
	// named returns the spans of a name.
	named(t *testing.T, name string) []span
}

// A request whose command was replayed is one trace: the request, the primary's refusal, and the replay with local's
// answer in it. The trip is a trace of its own that is linked to the request.
func testReplayedRequest(t *testing.T, b backend) {
	t.Helper()
	s := newService(t, otlptracehttp.WithEndpointURL(b.endpoint()))
	key := s.logIn(t)
	// The first write on a new local meets a NOSCRIPT, which would be a span of its own.
	s.Hosted.Exhaust()
	s.ask(t, http.MethodGet, "/", nil, "local", "lovelace, this is visit 1")
	s.Renew(t)
	s.Hosted.Exhaust()
	answer := s.ask(t, http.MethodGet, "/", nil, "local", "lovelace, this is visit 2")

	var all, trips []span // the latter are those that are linked to the request
	var request span
	var tree string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the trace is\n%sand the trips are %+v", tree, b.named(t, "fallback.trip"))
		}
	})
	want := `GET /{$}
  fallback.replay
    get of local
  fallback.replay
    set of local
  get of primary, failed
`
	servers := map[string]string{port(t, s.Hosted): "primary", port(t, s.Local): "local"}
	quotatest.Eventually(t, "the trace that is\n"+want, func() bool {
		if err := s.traces.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
		all = b.trace(t, answer.Get("X-Trace-Id"))
		if tree = sketch(all, servers); tree != want {
			return false
		}
		request = children(all, span{})[0]
		trips = slices.DeleteFunc(b.named(t, "fallback.trip"), func(s span) bool { return !slices.Contains(s.links, request.id) })
		return len(trips) > 0
	})
	for _, replay := range all {
		if replay.name != "fallback.replay" {
			continue
		}
		if usage, err := strconv.Atoi(replay.attributes["fallback.limit.usage"]); err != nil || usage < 500_000 {
			t.Errorf("the replay shows a usage of %q", replay.attributes["fallback.limit.usage"])
		}
		got := maps.Clone(replay.attributes)
		maps.DeleteFunc(got, func(name, _ string) bool {
			return name == "fallback.limit.usage" || !strings.HasPrefix(name, "fallback.") && !strings.HasPrefix(name, "db.") && !strings.HasPrefix(name, "error.")
		})
		want := map[string]string{
			"db.system.name": "redis", "db.operation.name": got["db.operation.name"],
			"fallback.backend": "local", "fallback.primary": "upstash", "fallback.reason": "quota",
			"fallback.cause.type": "limit_requests", "fallback.limit.kind": "requests", "fallback.limit.value": "500000",
		}
		if !maps.Equal(got, want) {
			t.Errorf("the replay has %v, want %v", got, want)
		}
		if within := children(all, replay); len(within) != 1 || within[0].name != got["db.operation.name"] {
			t.Errorf("a replay of %s has %v within", got["db.operation.name"], within)
		}
	}
	if trip := trips[0]; trip.trace == request.trace || trip.parent != "" || !slices.Equal(trip.links, []string{request.id}) ||
		trip.attributes["fallback.reason"] != "quota" || trip.attributes["fallback.backend"] != "local" {
		t.Errorf("the trip is %+v, want a trace of its own, linked to %s", trip, request.id)
	}
	for _, s := range slices.Concat(all, trips) { // neither is in any hexadecimal id by chance
		if told := fmt.Sprint(s); strings.Contains(told, strings.TrimPrefix(key, "session:")) || strings.Contains(told, "lovelace") {
			t.Errorf("a span tells who it was: %+v", s)
		}
	}
}

// settingUp are the spans of a connection that is made. Which call makes one is a matter of the pool.
var settingUp = []string{"redis.dial", "hello", "client", "redis.pipeline client"}

// sketch draws spans as a tree. Those of redisotel say of which server they are.
func sketch(all []span, servers map[string]string) string {
	var b strings.Builder
	var draw func(of span, depth int)
	draw = func(of span, depth int) {
		line := strings.Repeat("  ", depth) + of.name
		if server := servers[of.attributes["server.port"]]; server != "" && depth > 0 {
			line += " of " + server
		}
		if of.failed {
			line += ", failed"
		}
		b.WriteString(line + "\n")
		for _, s := range children(all, of) {
			draw(s, depth+1)
		}
	}
	for _, s := range children(all, span{}) {
		draw(s, 0)
	}
	return b.String()
}

// children returns what is directly within a span, by name.
func children(all []span, of span) (within []span) {
	for _, s := range all {
		if s.parent == of.id && !slices.Contains(settingUp, s.name) {
			within = append(within, s)
		}
	}
	slices.SortStableFunc(within, func(a, b span) int {
		return strings.Compare(a.name+a.attributes["db.operation.name"], b.name+b.attributes["db.operation.name"])
	})
	return within
}

func port(t *testing.T, srv *fallbacktest.Server) string {
	t.Helper()
	_, port, err := net.SplitHostPort(srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
