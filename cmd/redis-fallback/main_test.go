package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
)

func output(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestDemo(t *testing.T) {
	t.Parallel()
	code, out, errs := output(t, context.Background(), "demo", "--speed", "8")
	if code != 0 {
		t.Fatalf("exit %d\n%s\n%s", code, out, errs)
	}
	for _, want := range []string{
		"switched to local: quota (requests, limit 500000, usage 500006)", "switched to local: outage",
		"back on the primary", "switches to local, and back                    2, 2",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("colour without a terminal")
	}
}

func TestDemoOnRealServers(t *testing.T) {
	t.Parallel()
	primary, local := redistest.Start(t), redistest.Start(t)
	code, out, errs := output(t, context.Background(), "demo", "--speed", "8",
		"--primary", "redis://"+primary.Addr(), "--local", "redis://"+local.Addr())
	if code != 0 || !strings.Contains(out, "switches to local, and back                    1, 1") {
		t.Fatalf("exit %d\n%s\n%s", code, out, errs)
	}
	for _, s := range []*redistest.Server{primary, local} {
		keys, err := s.Client(t).Keys(context.Background(), "redis-fallback-demo:*").Result()
		if err != nil || len(keys) > 0 {
			t.Errorf("the demo left %v (%v)", keys, err)
		}
	}
}

func TestDemoEndsCleanlyWhenInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	time.AfterFunc(500*time.Millisecond, cancel)
	code, out, _ := output(t, ctx, "demo")
	if code != 130 || !strings.Contains(out, "calls of the application") || !strings.Contains(out, "interrupted") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

// The page is there while the story goes on, and after it until the demo is interrupted.
func TestDemoServesThePage(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"demo", "--speed", "10", "--console", "127.0.0.1:0"}, w, io.Discard)
		_ = w.Close()
	}()
	out := bufio.NewScanner(r)
	url, seen := "", ""
	look := func() string {
		reply, err := http.Get(url) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Body.Close()
		body, err := io.ReadAll(reply.Body)
		if err != nil || reply.StatusCode != http.StatusOK {
			t.Fatal(reply.Status, err)
		}
		return string(body)
	}
	for out.Scan() {
		line := out.Text()
		switch {
		case strings.HasPrefix(line, "the page: "):
			url = strings.TrimPrefix(line, "the page: ")
		case strings.Contains(line, ">> switched to local: quota"):
			seen = look()
		case strings.Contains(line, "until Ctrl-C"):
			if page := look(); strings.Count(page, "primary → local") != 2 || strings.Count(page, "local → primary") != 2 {
				t.Error("the page does not show what happened")
			}
			cancel()
		}
	}
	if c := <-code; c != 0 || !strings.Contains(seen, "refuses for its limit") && !strings.Contains(seen, "primary → local") {
		t.Errorf("exit %d; the page showed %d bytes", c, len(seen))
	}
	if code, _, errs := output(t, t.Context(), "demo", "--console", "nowhere:x"); code != 1 || !strings.Contains(errs, "--console") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestDrill(t *testing.T) {
	for _, opts := range [][]fallbacktest.Option{nil, {fallbacktest.WithTLS(), fallbacktest.WithPassword("hunter2")}} {
		primary, local := fallbacktest.Run(t, opts...), fallbacktest.Run(t, fallbacktest.WithPassword("other"))
		t.Setenv("REDIS_URL", primary.URL())
		t.Setenv("REDIS_FALLBACK_URL", local.URL())
		code, out, errs := output(t, context.Background(), "drill")
		if code != 0 || strings.Count(out, "ok ") != 10 || !strings.Contains(out, "fails over, and returns") {
			t.Fatalf("exit %d\n%s\n%s", code, out, errs)
		}
		if n := primary.Commands(); n > 30 {
			t.Errorf("the primary executed %d billed commands, more than is promised", n)
		}
		for _, s := range []*fallbacktest.Server{primary, local} {
			for _, key := range s.Data().Keys() {
				if key != "fallback:probe" {
					t.Errorf("the drill left %s", key)
				}
			}
			if keys := s.Data().DB(15).Keys(); len(keys) > 0 {
				t.Errorf("the drill left %v in the journal's database", keys)
			}
		}
	}
}

func TestDrillSaysWhatFailed(t *testing.T) {
	primary, local := fallbacktest.Run(t, fallbacktest.WithPassword("hunter2")), fallbacktest.Run(t, fallbacktest.WithPassword("hunter3"))
	gone := fallbacktest.Run(t)
	gone.Stop()
	wrong := func(s *fallbacktest.Server) string { return "redis://:hunter4@" + s.Addr() }
	limited := redistest.Start(t)
	ctx := context.Background()
	if err := limited.Client(t).Do(ctx, "acl", "setuser", "default", "-set").Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, primary, local, want string }{
		{"local unreachable", primary.URL(), gone.URL(), "local answers: not reachable; is REDIS_FALLBACK_URL right"},
		{"wrong password of local", primary.URL(), wrong(local), "local answers: wrong or missing password in REDIS_FALLBACK_URL"},
		{"no permission on local", primary.URL(), "redis://" + limited.Addr(), "local can be written to: its user has no permission"},
		{"primary unreachable", gone.URL(), local.URL(), "the primary answers: it is out of service already"},
		{"wrong password of the primary", wrong(primary), local.URL(), "the primary answers: wrong or missing password in REDIS_URL"},
		{"same server twice", local.URL(), strings.Replace(local.URL(), "127.0.0.1", "[::ffff:127.0.0.1]", 1), "lead to the same server"},
		{"not a URL", "://hunter2", local.URL(), "REDIS_URL: not a URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("REDIS_URL", c.primary)
			t.Setenv("REDIS_FALLBACK_URL", c.local)
			code, out, errs := output(t, ctx, "drill")
			if code != 1 || !strings.Contains(errs, c.want) {
				t.Errorf("exit %d, %q; want 1 and %q\n%s", code, errs, c.want, out)
			}
			if strings.Contains(out+errs, "hunter") {
				t.Errorf("a password is shown:\n%s%s", out, errs)
			}
		})
	}
	t.Run("switched off", func(t *testing.T) {
		t.Setenv("REDIS_URL", primary.URL())
		t.Setenv("REDIS_FALLBACK_ENABLED", "false")
		if code, _, errs := output(t, ctx, "drill"); code != 1 || !strings.Contains(errs, "switched off") {
			t.Errorf("exit %d, %q", code, errs)
		}
	})
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "redis-fallback demo"},
		{[]string{"--help"}, 0, "redis-fallback demo"},
		{[]string{"demo", "--help"}, 0, "--primary rediss://"},
		{[]string{"drill", "-h"}, 0, "REDIS_FALLBACK_URL=redis://"},
		{[]string{"drill", "word"}, 1, "usage: redis-fallback drill"},
		{[]string{"nosuch"}, 2, `no command "nosuch"`},
		{[]string{"demo", "--speed", "0"}, 1, "usage"},
		{[]string{"demo", "--primary", "hunter2://"}, 1, "--primary: not a Redis URL"},
	} {
		code, out, errs := output(t, context.Background(), c.args...)
		if code != c.code || !strings.Contains(out+errs, c.want) || strings.Contains(out+errs, "hunter2") {
			t.Errorf("%v: exit %d, want %d with %q:\n%s%s", c.args, code, c.code, c.want, out, errs)
		}
	}
}
