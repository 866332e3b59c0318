package fallback

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// FromEnv builds a client, a local client and the hook between them from the environment. It does no
// I/O, so the application starts with either server absent.
//
//	REDIS_URL, or REDIS__URL           the primary; required
//	REDIS_FALLBACK_URL                 local; default redis://localhost:6379/0
//	REDIS_FALLBACK_ENABLED             default true where REDIS_FALLBACK_URL is set, else false
//	REDIS_FALLBACK_BREAKER_FAILURES    5
//	REDIS_FALLBACK_BREAKER_COOLDOWN    60s
//	REDIS_FALLBACK_BREAKER_PROBES      1
//	REDIS_FALLBACK_QUOTA_HOLD          5m
//	REDIS_FALLBACK_QUOTA_MAX_HOLD      1h
//	REDIS_FALLBACK_PROBE_SUCCESSES     3
//	REDIS_FALLBACK_PROBE_EVERY         5s
//	REDIS_FALLBACK_PROBE_TIMEOUT       2s
//	REDIS_FALLBACK_LOCAL_CHECK         30s, -1 turns it off
//	REDIS_FALLBACK_HANG_SILENCE        1s, -1 turns it off
//	REDIS_FALLBACK_HANG_PING           500ms
//	REDIS_FALLBACK_RETRIES             3, -1 turns them off
//	REDIS_FALLBACK_JOURNAL_DATABASE    15, -1 for no journal
//	REDIS_FALLBACK_JOURNAL_ENTRIES     5000000, -1 for no bound
//	REDIS_FALLBACK_JOURNAL_BYTES       1073741824, -1 for no bound
//	REDIS_FALLBACK_JOURNAL_BUDGET      a tenth of the limit that was refused for, -1 for no bound
//	REDIS_FALLBACK_MIRROR_BYTES        67108864, -1 for no mirror
//	REDIS_FALLBACK_MIRROR_HYDRATION    0.05, -1 reads nothing
//
// A value that does not parse, and a variable of that kind which is not among these, is an error that names
// the variable; URLs are not shown in it, they may hold a password. opts are applied after the environment.
//
// Switched off, FromEnv returns a plain client and a hook that never acts.
//
// Both clients get settings that suit a hosted Redis, where the URL's own parameters do not say
// otherwise: dials, reads and writes bounded at 3 s, a wait of at most 4 s for a connection of the
// pool, connections closed after 25 s of idleness (hosts close theirs from 30 s on), TCP keep-alive as
// go-redis sets it, and no maintenance notifications, which such hosts do not send. MaxRetries stays
// at go-redis' 3: -1 would turn every connection that the host has closed into an error.
//
// Shut the hook down and close the client when done. The local client belongs to the hook and is
// closed by its Shutdown.
func FromEnv(opts ...Option) (*redis.Client, *Hook, error) {
	env := &environment{known: map[string]bool{}}
	primary := env.primary()
	local, localSet := env.url("REDIS_FALLBACK_URL", "redis://localhost:6379/0")
	enabled := env.flag("REDIS_FALLBACK_ENABLED", localSet)
	fromEnv := env.options()
	env.rest(os.Environ())
	if err := errors.Join(env.errs...); err != nil {
		return nil, nil, err
	}
	if !enabled {
		h := newHook(newConfig(opts))
		h.off = true
		h.cfg.logger.Info("redis fallback: switched off; set REDIS_FALLBACK_URL to the second Redis to switch it on")
		return redis.NewClient(primary), h, nil
	}
	if primary.Network == local.Network && sameAddr(primary.Addr, local.Addr) {
		return nil, nil, errors.New("redis fallback: REDIS_URL and REDIS_FALLBACK_URL name the same server")
	}
	rdb := redis.NewClient(primary)
	h := New(redis.NewClient(local), append(fromEnv, opts...)...)
	h.ownsLocal = true
	h.admitted.Store(true) // a Client, by its making
	rdb.AddHook(h)
	return rdb, h, nil
}

// environment reads variables, and collects what is wrong with them.
type environment struct {
	known map[string]bool // what has been asked for
	errs  []error
}

func (e *environment) get(name string) (string, bool) {
	e.known[name] = true
	return os.LookupEnv(name)
}

// rest complains of variables that look like ours and that nobody has asked for: a misspelt one would be a
// default, without a word.
func (e *environment) rest(all []string) {
	for _, v := range all {
		name, value, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "REDIS_FALLBACK_") && value != "" && !e.known[name] && !ofService.MatchString(name) {
			e.fail(name, "no such variable; see the documentation of FromEnv")
		}
	}
}

// ofService is what Kubernetes tells each container of a Service, which may be called redis-fallback.
var ofService = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

func (e *environment) fail(name, what string) {
	e.errs = append(e.errs, fmt.Errorf("redis fallback: %s: %s", name, what))
}

func (e *environment) primary() *redis.Options {
	name := "REDIS_URL"
	if v, ok := e.get(name); !ok || v == "" {
		if v, ok := e.get("REDIS__URL"); ok && v != "" {
			name = "REDIS__URL"
		}
	}
	o, set := e.url(name, "")
	if o == nil && !set {
		e.fail(name, "not set; it is the URL of the primary, as in rediss://default:password@host:6379")
	}
	return o
}

// url reads a URL. What it holds is never part of an error.
func (e *environment) url(name, def string) (o *redis.Options, set bool) {
	v, _ := e.get(name)
	v = strings.TrimSpace(v)
	set = v != ""
	if !set {
		v = def
	}
	if v == "" {
		return nil, false
	}
	u, err := url.Parse(v)
	switch {
	case err != nil:
		e.fail(name, "not a URL; special characters in a password must be percent-encoded")
		return nil, set
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		e.fail(name, "the scheme must be redis, rediss or unix")
		return nil, set
	}
	o, err = redis.ParseURL(v)
	if err != nil {
		e.fail(name, "a path or a parameter in it is not one that go-redis knows")
		return nil, set
	}
	hosted(o, u.Query())
	return o, set
}

// hosted sets what the URL leaves open.
func hosted(o *redis.Options, given url.Values) {
	set := func(d *time.Duration, name string, v time.Duration) {
		if !given.Has(name) {
			*d = v
		}
	}
	set(&o.DialTimeout, "dial_timeout", 3*time.Second)
	set(&o.ReadTimeout, "read_timeout", 3*time.Second)
	set(&o.WriteTimeout, "write_timeout", 3*time.Second)
	set(&o.PoolTimeout, "pool_timeout", 4*time.Second)
	if !given.Has("conn_max_idle_time") && !given.Has("idle_timeout") {
		o.ConnMaxIdleTime = 25 * time.Second
	}
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func (e *environment) flag(name string, def bool) bool {
	v, ok := e.get(name)
	if !ok || v == "" {
		return def
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		e.fail(name, fmt.Sprintf("%q is not true or false", v))
	}
	return b
}

// count reads a whole number, from least on.
func (e *environment) count(name string, least int) int {
	v, ok := e.get(name)
	if !ok || v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	switch {
	case err != nil:
		e.fail(name, fmt.Sprintf("%q is not a whole number", v))
	case n < least:
		e.fail(name, fmt.Sprintf("%d is less than %d", n, least))
	}
	return n
}

// some reads a whole number from 1 on, or -1, which turns off. 0 would be the default, without a word.
func (e *environment) some(name string) int {
	if v, _ := e.get(name); v == "0" {
		e.fail(name, "0 is not a number from 1 on, nor -1, which turns it off")
	}
	return e.count(name, -1)
}

// share reads a part of a whole, up to 1. "-1" turns off.
func (e *environment) share(name string) float64 {
	v, ok := e.get(name)
	if !ok || v == "" {
		return 0
	}
	if v == "-1" {
		return -1
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f > 0 && f <= 1) {
		e.fail(name, fmt.Sprintf("%q is not a share such as 0.05, nor -1, which turns it off", v))
	}
	return f
}

// span reads a duration. "-1" turns off what can be turned off.
func (e *environment) span(name string, canBeOff bool) time.Duration {
	v, ok := e.get(name)
	if !ok || v == "" {
		return 0
	}
	if v == "-1" && canBeOff {
		return -1
	}
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		e.fail(name, fmt.Sprintf("%q is not a duration such as 90s or 5m", v))
	case d <= 0:
		e.fail(name, fmt.Sprintf("%q is not longer than nothing", v))
	}
	return d
}

func (e *environment) options() []Option {
	b := breaker.Config{
		Failures: e.count("REDIS_FALLBACK_BREAKER_FAILURES", 1),
		Cooldown: e.span("REDIS_FALLBACK_BREAKER_COOLDOWN", false),
		Probes:   e.count("REDIS_FALLBACK_BREAKER_PROBES", 1),
	}
	hl := health.Config{
		Hold:      e.span("REDIS_FALLBACK_QUOTA_HOLD", false),
		MaxHold:   e.span("REDIS_FALLBACK_QUOTA_MAX_HOLD", false),
		Successes: e.count("REDIS_FALLBACK_PROBE_SUCCESSES", 1),
		Every:     e.span("REDIS_FALLBACK_PROBE_EVERY", false),
	}
	if hl.Hold > 0 && hl.MaxHold > 0 && hl.MaxHold < hl.Hold {
		e.fail("REDIS_FALLBACK_QUOTA_MAX_HOLD", "shorter than REDIS_FALLBACK_QUOTA_HOLD")
	}
	j := JournalConfig{
		Database: e.some("REDIS_FALLBACK_JOURNAL_DATABASE"),
		Entries:  int64(e.some("REDIS_FALLBACK_JOURNAL_ENTRIES")),
		Bytes:    int64(e.some("REDIS_FALLBACK_JOURNAL_BYTES")),
		Budget:   int64(e.some("REDIS_FALLBACK_JOURNAL_BUDGET")),
	}
	m := MirrorConfig{
		Bytes:     int64(e.some("REDIS_FALLBACK_MIRROR_BYTES")),
		Hydration: e.share("REDIS_FALLBACK_MIRROR_HYDRATION"),
	}
	return []Option{
		WithJournal(j),
		WithMirror(m),
		WithBreaker(b),
		WithHealth(hl),
		WithProbe("", e.span("REDIS_FALLBACK_PROBE_TIMEOUT", false)),
		WithLocalCheck(e.span("REDIS_FALLBACK_LOCAL_CHECK", true)),
		WithHang(e.span("REDIS_FALLBACK_HANG_SILENCE", true), e.span("REDIS_FALLBACK_HANG_PING", false)),
		WithRetries(e.count("REDIS_FALLBACK_RETRIES", -1)),
	}
}
