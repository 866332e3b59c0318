package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/diagnosis"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// look runs the doctor, wants an exit code, and returns the rows that are not ok, as "level server check".
func look(t *testing.T, code int, args ...string) (checkupReport, string) {
	t.Helper()
	got, out, errs := output(t, context.Background(), append([]string{"doctor", "--json"}, args...)...)
	var r checkupReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	if got != code {
		t.Errorf("exit %d, want %d\n%s%s", got, code, out, errs)
	}
	if strings.Contains(out+errs, password) {
		t.Errorf("a password is shown:\n%s%s", out, errs)
	}
	var bad []string
	for _, c := range r.Checks {
		if c.Level != diagnosis.OK {
			bad = append(bad, string(c.Level)+" "+c.Server+" "+c.Name)
			if c.Do == "" && c.Name != "state" {
				t.Errorf("nothing is said to be done about %+v", c)
			}
		}
	}
	return r, strings.Join(bad, ", ")
}

func TestDoctorFindsNothing(t *testing.T) {
	primary := redistest.Start(t, "--requirepass", password)
	local := redistest.Start(t, "--requirepass", password, "--appendonly", "yes")
	t.Setenv("REDIS_URL", "redis://:"+password+"@"+primary.Addr())
	t.Setenv("REDIS_FALLBACK_URL", "redis://:"+password+"@"+local.Addr())
	r, bad := look(t, 0)
	if bad != "" || len(r.Checks) < 20 || r.Errors != 0 || r.Warnings != 0 {
		t.Errorf("%s; %+v", bad, r)
	}
	for _, s := range []*redistest.Server{primary, local} {
		o := s.Options()
		o.Password = password
		rdb := redis.NewClient(o)
		defer rdb.Close()
		for _, db := range []int{0, 15} {
			conn := rdb.Conn()
			conn.Select(t.Context(), db)
			for _, key := range conn.Keys(t.Context(), "*").Val() {
				if ttl := conn.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Minute {
					t.Errorf("it leaves %s for %v", key, ttl)
				}
			}
			_ = conn.Close()
		}
	}
	says(t, 0, []string{"doctor"}, "ok       primary  journal", "ok       both     two servers", "0 errors, 0 warnings; the primary executed 9 commands")
}

// What it says that it cost is what the host counts.
func TestDoctorCountsItsCommands(t *testing.T) {
	primary, local := fallbacktest.Run(t, fallbacktest.WithTLS(), fallbacktest.WithPassword(password)), fallbacktest.Run(t)
	t.Setenv("REDIS_URL", primary.URL())
	t.Setenv("REDIS_FALLBACK_URL", local.URL())
	before := primary.Commands()
	r, bad := look(t, 0)
	if bad != "warning primary TLS" { // the test's URL asks for skip_verify
		t.Errorf("%s; %+v", bad, r)
	}
	if n := int64(primary.Commands() - before); n != r.Commands || n > 10 {
		t.Errorf("%d commands, it says %d", n, r.Commands)
	}
}

func TestDoctorFinds(t *testing.T) {
	good, local := redistest.Start(t, "--requirepass", password), redistest.Start(t, "--appendonly", "yes")
	plainURL := func(s *redistest.Server) string { return "redis://" + s.Addr() }
	goodURL := "redis://:" + password + "@" + good.Addr()
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 1")
	evicting := redistest.Start(t, "--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru", "--timeout", "20")
	small := redistest.Start(t, "--appendonly", "yes", "--databases", "8")
	limited := redistest.Start(t, "--appendonly", "yes")
	if err := limited.Client(t).Do(t.Context(), "acl", "setuser", "default", "-multi", "-eval").Err(); err != nil {
		t.Fatal(err)
	}
	over, gone := fallbacktest.Run(t), fallbacktest.Run(t)
	over.Exhaust()
	gone.Stop()
	for _, c := range []struct {
		name, primary, local string
		code                 int
		want                 string
	}{
		{"local is gone", goodURL, gone.URL(), 1, "error local reached"},
		{"the primary is gone", gone.URL(), plainURL(local), 1, "error primary reached"},
		{"a wrong password", strings.Replace(goodURL, password, "hunter3", 1), plainURL(local), 1, "error primary login"},
		{"no password for local", plainURL(local), "redis://" + good.Addr(), 1, "error local login"},
		{"TLS where there is none", "rediss://" + good.Addr(), plainURL(local), 1, "error primary TLS"},
		{"one server", plainURL(local), "redis://[::ffff:127.0.0.1]:" + local.Addr()[len("127.0.0.1:"):], 1, "error both two servers"},
		{"the primary is over its limit", over.URL(), plainURL(local), 0, "warning primary limit"},
		{"local is over a limit", goodURL, over.URL(), 1, "error local limit"},
		{"the primary may not MULTI", plainURL(limited), plainURL(local), 1, "error primary journal"},
		{"local may not EVAL", goodURL, plainURL(limited), 1, "error local journal"},
		{"local has too few databases", goodURL, plainURL(small), 1, "error local database"},
		{"local is a replica", goodURL, plainURL(replica), 1, "error local writes, error local role, warning local persistence"},
		{"the primary is a replica", plainURL(replica), plainURL(local), 1, "error primary role, error primary probe"},
		{"an evicting primary that closes early", plainURL(evicting), plainURL(local), 0, "warning primary eviction, warning primary idle time"},
		{"an evicting local", goodURL, plainURL(evicting), 0, "warning local persistence, warning local eviction"},
		{"a hasty client", goodURL + "?max_retries=-1&read_timeout=50ms&dial_timeout=1m", plainURL(local), 0, "warning primary client, warning primary client, warning primary client"},
		{"no URL", "", plainURL(local), 1, "error both settings"},
		{"not a URL", "://" + password, "://" + password, 1, "error both settings, error both settings"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("REDIS_URL", c.primary)
			t.Setenv("REDIS_FALLBACK_URL", c.local)
			if r, bad := look(t, c.code); bad != c.want {
				t.Errorf("it finds %q, want %q\n%+v", bad, c.want, r.Checks)
			}
		})
	}
	t.Run("switched off", func(t *testing.T) {
		t.Setenv("REDIS_URL", goodURL)
		t.Setenv("REDIS_FALLBACK_URL", plainURL(local))
		t.Setenv("REDIS_FALLBACK_ENABLED", "false")
		if _, bad := look(t, 1); bad != "error both settings" {
			t.Error(bad)
		}
	})
}

// While local serves, and where the primary is another one, it says so.
func TestDoctorKnowsTheService(t *testing.T) {
	a := outOfQuota(t, 3)
	if r, bad := look(t, 0); !strings.Contains(bad, "warning service state, warning service quota") || !strings.Contains(bad, "warning primary limit") {
		t.Errorf("%s; %+v", bad, r)
	}
	a.primary.Renew()
	says(t, 0, []string{"drain", "--return"}, "the primary serves")
	if r, bad := look(t, 0); bad != "" {
		t.Errorf("%s; %+v", bad, r)
	}
	a.stop()
	other := fallbacktest.Run(t)
	t.Setenv("REDIS_URL", other.URL())
	if r, bad := look(t, 0); bad != "warning primary identity" {
		t.Errorf("%s; %+v", bad, r)
	}
	if err := other.Data().Set("fallback:upstash:primary", "somebody else"); err != nil {
		t.Fatal(err)
	}
	says(t, 1, []string{"doctor"}, "not the primary that local's journal is for", "drain --adopt", "1 error")
}
