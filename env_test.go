package fallback_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
)

func setenv(t *testing.T, kv ...string) {
	t.Helper()
	for _, name := range []string{"REDIS_URL", "REDIS__URL", "REDIS_FALLBACK_URL", "REDIS_FALLBACK_ENABLED"} {
		t.Setenv(name, "")
	}
	for i := 0; i < len(kv); i += 2 {
		t.Setenv(kv[i], kv[i+1])
	}
}

func TestFromEnvServes(t *testing.T) {
	primary := fallbacktest.Run(t, fallbacktest.WithPassword("p@ss:word/1"), fallbacktest.WithTLS())
	local := fallbacktest.Run(t, fallbacktest.WithPassword("other"))
	setenv(t, "REDIS__URL", primary.URL(), "REDIS_FALLBACK_URL", local.URL(), "REDIS_FALLBACK_QUOTA_HOLD", "7m")
	rdb, h, err := fallback.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	defer h.Shutdown(ctx)
	if err := rdb.Set(ctx, "k", 1, 0).Err(); err != nil || get(t, primary, "k") != "1" {
		t.Fatalf("SET: %v", err)
	}
	primary.Exhaust()
	if err := rdb.Set(ctx, "k", 2, 0).Err(); err != nil || get(t, local, "k") != "2" {
		t.Fatalf("SET over quota: %v", err)
	}
	if in := time.Until(h.Status().NextProbe); in < 6*time.Minute || in > 8*time.Minute {
		t.Errorf("the next probe is in %v, want about the 7 minutes of the environment", in)
	}
	o := rdb.Options()
	if o.MaxRetries != 3 || o.ConnMaxIdleTime != 25*time.Second || o.ReadTimeout != 3*time.Second || !o.TLSConfig.InsecureSkipVerify {
		t.Errorf("client options: retries %d, idle %v, read %v", o.MaxRetries, o.ConnMaxIdleTime, o.ReadTimeout)
	}
}

func TestFromEnvURLParametersWin(t *testing.T) {
	setenv(t, "REDIS_URL", "redis://h:1?read_timeout=9s&conn_max_idle_time=1m", "REDIS_FALLBACK_URL", "redis://l:2/3")
	rdb, h, err := fallback.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	defer h.Shutdown(ctx)
	if o := rdb.Options(); o.ReadTimeout != 9*time.Second || o.ConnMaxIdleTime != time.Minute {
		t.Errorf("read %v, idle %v; want the URL's 9 s and 1 min", o.ReadTimeout, o.ConnMaxIdleTime)
	}
}

func TestFromEnvSwitchedOff(t *testing.T) {
	primary := fallbacktest.Run(t)
	for _, kv := range [][]string{
		{"REDIS_URL", primary.URL()},
		{"REDIS_URL", primary.URL(), "REDIS_FALLBACK_URL", "redis://l:2", "REDIS_FALLBACK_ENABLED", "false"},
	} {
		setenv(t, kv...)
		rdb, h, err := fallback.FromEnv()
		if err != nil {
			t.Fatal(err)
		}
		primary.Exhaust()
		if err := rdb.Get(ctx, "k").Err(); err == nil || err.Error() != fallbacktest.ReplyRequests {
			t.Errorf("a plain client over quota: %v", err)
		}
		if _, isOurs := rdb.Get(ctx, "k").Err().(*fallback.LimitError); isOurs { //nolint:errorlint // the type itself
			t.Error("a hook that never acts has made a LimitError")
		}
		h.Pin(fallback.Local)
		if h.Status().Enabled || h.Serving() != fallback.Primary || h.Probe(ctx) == nil || h.Shutdown(ctx) != nil {
			t.Errorf("status of a hook that never acts: %+v", h.Status())
		}
		primary.Renew()
		_ = rdb.Close()
	}
}

func TestFromEnvErrorsNameTheVariable(t *testing.T) {
	ok := []string{"REDIS_URL", "redis://h:1", "REDIS_FALLBACK_URL", "redis://l:2"}
	for _, c := range []struct{ name, value, want string }{
		{"REDIS_URL", "", "REDIS_URL: not set"},
		{"REDIS_URL", "redis://:hunter2 %zz@h:1", "REDIS_URL: not a URL"},
		{"REDIS_URL", "redis://:hunter2/x@h:1", "REDIS_URL: not a URL"},
		{"REDIS_URL", "https://hunter2@h", "REDIS_URL: the scheme must be redis, rediss or unix"},
		{"REDIS_URL", "hunter2", "REDIS_URL: the scheme must be"},
		{"REDIS_URL", "redis://h:1/notanumber?hunter2=1", "REDIS_URL: a path or a parameter"},
		{"REDIS_FALLBACK_URL", "redis://l:2?no_such=hunter2", "REDIS_FALLBACK_URL: a path or a parameter"},
		{"REDIS_FALLBACK_URL", "redis://H:1/5", "the same server"},
		{"REDIS_FALLBACK_ENABLED", "maybe", `REDIS_FALLBACK_ENABLED: "maybe" is not true or false`},
		{"REDIS_FALLBACK_BREAKER_FAILURES", "five", `REDIS_FALLBACK_BREAKER_FAILURES: "five" is not a whole number`},
		{"REDIS_FALLBACK_BREAKER_FAILURES", "0", "REDIS_FALLBACK_BREAKER_FAILURES: 0 is less than 1"},
		{"REDIS_FALLBACK_BREAKER_COOLDOWN", "60", `REDIS_FALLBACK_BREAKER_COOLDOWN: "60" is not a duration`},
		{"REDIS_FALLBACK_BREAKER_PROBES", "-1", "REDIS_FALLBACK_BREAKER_PROBES: -1 is less than 1"},
		{"REDIS_FALLBACK_QUOTA_HOLD", "-5m", "REDIS_FALLBACK_QUOTA_HOLD"},
		{"REDIS_FALLBACK_QUOTA_MAX_HOLD", "soon", "REDIS_FALLBACK_QUOTA_MAX_HOLD"},
		{"REDIS_FALLBACK_PROBE_SUCCESSES", "x", "REDIS_FALLBACK_PROBE_SUCCESSES"},
		{"REDIS_FALLBACK_PROBE_EVERY", "x", "REDIS_FALLBACK_PROBE_EVERY"},
		{"REDIS_FALLBACK_PROBE_TIMEOUT", "-1", "REDIS_FALLBACK_PROBE_TIMEOUT"},
		{"REDIS_FALLBACK_LOCAL_CHECK", "x", "REDIS_FALLBACK_LOCAL_CHECK"},
		{"REDIS_FALLBACK_HANG_SILENCE", "x", "REDIS_FALLBACK_HANG_SILENCE"},
		{"REDIS_FALLBACK_HANG_PING", "x", "REDIS_FALLBACK_HANG_PING"},
		{"REDIS_FALLBACK_RETRIES", "-2", "REDIS_FALLBACK_RETRIES: -2 is less than -1"},
		{"REDIS_FALLBACK_JOURNAL_DATABASE", "0", "REDIS_FALLBACK_JOURNAL_DATABASE: 0 is not"},
		{"REDIS_FALLBACK_JOURNAL_DATABASE", "x", `REDIS_FALLBACK_JOURNAL_DATABASE: "x" is not a whole number`},
		{"REDIS_FALLBACK_JOURNAL_ENTRIES", "-2", "REDIS_FALLBACK_JOURNAL_ENTRIES: -2 is less than -1"},
		{"REDIS_FALLBACK_JOURNAL_BYTES", "1gb", "REDIS_FALLBACK_JOURNAL_BYTES"},
		{"REDIS_FALLBACK_JOURNAL_BUDGET", "0", "REDIS_FALLBACK_JOURNAL_BUDGET: 0 is not"},
		{"REDIS_FALLBACK_QUOTA_HOLDS", "hunter2", "REDIS_FALLBACK_QUOTA_HOLDS: no such variable"},
		{"REDIS_FALLBACK_LOCAL_PORTS", "1", "REDIS_FALLBACK_LOCAL_PORTS: no such variable"},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			setenv(t, ok...)
			t.Setenv(c.name, c.value)
			rdb, _, err := fallback.FromEnv()
			if err == nil {
				_ = rdb.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %q shows a password", err)
			}
		})
	}
	t.Run("what Kubernetes tells of a Service", func(t *testing.T) {
		setenv(t, ok...)
		for _, name := range []string{
			"SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_REDIS", "PORT", "PORT_6379_TCP", "PORT_6379_TCP_PROTO",
			"PORT_6379_TCP_PORT", "PORT_6379_TCP_ADDR", "LOCAL_SERVICE_HOST", "LOCAL_PORT_6379_TCP",
		} {
			t.Setenv("REDIS_FALLBACK_"+name, "tcp://10.0.0.1:6379")
		}
		t.Setenv("REDIS_FALLBACK_NOTHING", "")
		rdb, h, err := fallback.FromEnv()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = h.Shutdown(ctx), rdb.Close()
	})
	t.Run("both max hold and hold", func(t *testing.T) {
		setenv(t, ok...)
		t.Setenv("REDIS_FALLBACK_QUOTA_HOLD", "2h")
		t.Setenv("REDIS_FALLBACK_QUOTA_MAX_HOLD", "1h")
		if _, _, err := fallback.FromEnv(); err == nil {
			t.Error("a maximum below the hold is no error")
		}
	})
}
