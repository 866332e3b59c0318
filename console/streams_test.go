package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
)

// eventStream is an open stream of events.
type eventStream struct {
	reply *http.Response
	lines *bufio.Reader
	close context.CancelFunc
}

func openStream(t *testing.T, r *rig) *eventStream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.srv.URL+prefix+"events", nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := r.srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	s := &eventStream{reply, bufio.NewReader(reply.Body), func() { cancel(); _ = reply.Body.Close() }}
	t.Cleanup(s.close)
	return s
}

// next returns the next event's sections.
func (s *eventStream) next(t *testing.T) string {
	t.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var sections map[string]string
			if err := json.Unmarshal([]byte(data), &sections); err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			for id, html := range sections {
				if !strings.HasPrefix(html, `<section id="`+id+`"`) {
					t.Fatalf("section %s is %s", id, html)
				}
				all.WriteString(html)
			}
			return all.String()
		}
	}
}

// A switch is sent, the first event is the whole page, and later ones only what has changed.
func TestEventsFollowASwitch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := openStream(t, r)
	if kind := s.reply.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("Content-Type %q", kind)
	}
	first := s.next(t)
	for _, want := range []string{"upstash serves.", "<h2>Mirror</h2>", "<h2>Processes</h2>"} {
		if !strings.Contains(first, want) {
			t.Errorf("the first event lacks %q", want)
		}
	}
	if err := r.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	seen := ""
	for !strings.Contains(seen, "Local serves: an operator pinned it.") {
		seen = s.next(t)
	}
	if strings.Contains(seen, "<h2>Dead letters</h2>") {
		t.Error("what has not changed is sent again")
	}
}

// Streams are bounded, and one that ends makes room.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var open []*eventStream
	for range 16 {
		s := openStream(t, r)
		s.next(t)
		open = append(open, s)
	}
	refused := openStream(t, r)
	if refused.reply.StatusCode != http.StatusServiceUnavailable || refused.reply.Header.Get("Retry-After") == "" {
		t.Errorf("the seventeenth: %d", refused.reply.StatusCode)
	}
	open[0].close()
	eventually(t, "room", func() bool {
		s := openStream(t, r)
		defer s.close()
		return s.reply.StatusCode == http.StatusOK
	})
}

// A page that somebody has left open does not hold up the program's end.
func TestShutdownEndsStreams(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := openStream(t, r)
	s.next(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.srv.Config.Shutdown(ctx); err != nil {
		t.Errorf("the server waited for the stream: %v", err)
	}
	if _, err := io.Copy(io.Discard, s.lines); err != nil {
		t.Errorf("the stream did not end as it should: %v", err)
	}
}

// A middleware that cannot flush has no stream: the browser must not ask for one again and again.
func TestNoStreamWhereNothingFlushes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := httptest.NewRecorder()
	r.page.ServeHTTP(struct{ http.ResponseWriter }{w}, httptest.NewRequest(http.MethodGet, prefix+"events", nil))
	if w.Code != http.StatusNotImplemented {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestManyLookAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				for _, name := range []string{"", "status.json", "healthz"} {
					if w := r.get(t, name); w.Code != http.StatusOK {
						t.Errorf("%s: %d", name, w.Code)
					}
				}
			}
		})
	}
	for range 10 {
		if err := r.h.Pin(fallback.Local); err != nil {
			t.Error(err)
		}
		if err := r.h.Pin(fallback.Primary); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}
