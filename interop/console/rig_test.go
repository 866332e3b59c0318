package console_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/console"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// rig is an application with its page, and a browser that looks at it.
type rig struct {
	primary *fallbacktest.Server
	rdb     *redis.Client
	h       *fallback.Hook
	url     string
	tab     context.Context

	mu       sync.Mutex // protects complaints
	complain []string   // what the browser wrote to its console
}

func newRig(t *testing.T) *rig {
	t.Helper()
	path := browser(t)
	r := &rig{primary: fallbacktest.Run(t)}
	local := redistest.Start(t, "--appendonly", "yes").Client(t)
	r.rdb = redis.NewClient(r.primary.Options())
	r.h = fallback.New(local, fallback.WithLogger(slog.New(slog.DiscardHandler)),
		fallback.WithHealth(health.Config{Every: 10 * time.Millisecond}))
	r.rdb.AddHook(r.h)
	mux := http.NewServeMux()
	mux.Handle("/debug/redis-fallback/", console.Handler(r.h))
	srv := httptest.NewServer(mux)
	r.url = srv.URL + "/debug/redis-fallback/"
	t.Cleanup(func() {
		srv.Close()
		_ = r.h.Shutdown(context.Background())
		_ = r.rdb.Close()
	})
	r.open(t, path)
	return r
}

// browser is where Chromium is. Without one the test is skipped, in CI it fails.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("Chromium is not installed, and CI must have one")
	}
	t.Skip("Chromium is not installed: this test looks at the page in a real browser")
	return ""
}

// open opens a tab, and the page in it.
func (r *rig) open(t *testing.T, path string) {
	t.Helper()
	opts := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.DisableGPU}
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium does not run as root otherwise
	}
	ctx, cancel := chromedp.NewContext(t.Context(), chromedp.WithAllocatorOptions(opts...))
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	r.tab = ctx
	r.do(t, chromedp.EmulateViewport(1200, 900))
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			r.mu.Lock()
			r.complain = append(r.complain, m.String())
			r.mu.Unlock()
		}
	}()
	r.do(t, chromedp.Navigate(r.url), chromedp.WaitVisible("#state h1"))
}

func (r *rig) complaints() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.complain...)
}

func (r *rig) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(r.tab, steps...); err != nil {
		t.Fatal(err)
	}
}

// eval runs an expression in the page.
func eval[T any](t *testing.T, r *rig, expression string) T {
	t.Helper()
	v, err := chromedp.Run(r.tab, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// eventually waits for the page to be as an expression says.
func (r *rig) eventually(t *testing.T, expression string) {
	t.Helper()
	if _, err := chromedp.Run(r.tab, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(20*time.Second))); err != nil {
		text, _ := chromedp.Run(r.tab, chromedp.Text("main"))
		t.Fatalf("%s: %v; the page:\n%s", expression, err, text)
	}
}

// looks changes what the browser says that its user prefers.
func (r *rig) looks(t *testing.T, scheme string) {
	t.Helper()
	_, err := chromedp.Call(r.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// work is what the application does all the time.
func (r *rig) work(ctx context.Context) error {
	for i := 0; ctx.Err() == nil; i++ {
		user := fmt.Sprint("session:", i%50)
		if err := errors.Join(r.rdb.HSet(ctx, user, "n", i).Err(), r.rdb.HGetAll(ctx, user).Err()); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

func text(t *testing.T, r *rig, selector string) string {
	t.Helper()
	s, err := chromedp.Run(r.tab, chromedp.Text(selector))
	if err != nil {
		t.Fatalf("%s: %v", selector, err)
	}
	return strings.Join(strings.Fields(s), " ")
}
