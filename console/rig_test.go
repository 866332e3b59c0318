package console_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/console"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis/go-redis/v9"
)

// secret is planted in passwords, keys, values, and names of commands.
const secret = "hunter2"

// prefix is where the console is served.
const prefix = "/debug/redis-fallback/"

type rig struct {
	primary, local *fallbacktest.Server
	rdb            *redis.Client
	h              *fallback.Hook
	page           http.Handler
	srv            *httptest.Server
}

func newRig(t *testing.T, opts ...fallback.Option) *rig {
	t.Helper()
	r := &rig{primary: fallbacktest.Run(t, fallbacktest.WithPassword(secret)), local: fallbacktest.Run(t, fallbacktest.WithPassword(secret))}
	r.rdb = redis.NewClient(r.primary.Options())
	back := redis.NewClient(r.local.Options())
	r.h = fallback.New(back, append([]fallback.Option{
		fallback.WithLogger(slog.New(slog.DiscardHandler)),
		fallback.WithHealth(health.Config{Every: time.Millisecond}),
		fallback.WithLocalCheck(10 * time.Millisecond),
	}, opts...)...)
	r.rdb.AddHook(r.h)
	r.page = console.Handler(r.h)
	mux := http.NewServeMux()
	mux.Handle(prefix, r.page)
	r.srv = httptest.NewServer(mux)
	t.Cleanup(func() {
		r.srv.Close()
		_ = r.h.Shutdown(context.Background())
		_ = r.rdb.Close()
		_ = back.Close()
	})
	return r
}

// get asks for what is at a place beneath the prefix.
func (r *rig) get(t *testing.T, name string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r.page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, prefix+name, nil))
	return w
}

// status is what a test looks at of status.json.
type status struct {
	Headline, Level, State, Serving, Reason, Cause string
	Enabled, Answers, Degraded, Pinned             bool
	Since                                          time.Time
	NextProbe                                      *time.Time `json:"next_probe"`
	Findings                                       []struct{ Level, Code, What, Do, Command string }
	Primary, Local                                 struct {
		Name, Breaker string
		Answered      int64
		PerSecond     *float64 `json:"per_second"`
	}
	Journal struct {
		On      bool
		Entries int64
		Dead    int64 `json:"dead_letters"`
	}
	DeadLetters []struct {
		Command string
		Count   int
	} `json:"dead_letters"`
	Processes []struct {
		Host string
		Self bool
	}
	History []struct{ From, To, Reason, Cause string }
	Rates   []struct{ Primary, Local float64 }
}

func (r *rig) status(t *testing.T) status {
	t.Helper()
	var s status
	if err := json.Unmarshal(r.get(t, "status.json").Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// set writes a key, whoever serves.
func (r *rig) set(t *testing.T) {
	t.Helper()
	if err := r.rdb.Set(t.Context(), secret+":k", secret, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}
