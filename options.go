package fallback

import (
	"log/slog"
	"time"

	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis/go-redis/v9"
)

// Option changes a default of New. As in go-redis, a number of 0 is the default and -1 turns off what
// can be turned off.
type Option func(*config)

type config struct {
	name       string
	logger     *slog.Logger
	detector   Detector
	repeatable func(redis.Cmder) bool
	only       func(redis.Cmder) bool
	onSwitch   []func(Event)
	otel       providers

	breaker breaker.Config
	health  health.Config
	journal JournalConfig
	mirror  MirrorConfig

	silence      time.Duration
	pingTimeout  time.Duration
	probeKey     string
	probeTimeout time.Duration
	localCheck   time.Duration
	retries      int
	onStorage    bool
}

const (
	defaultName         = "upstash"
	defaultSilence      = time.Second
	defaultPingTimeout  = 500 * time.Millisecond
	defaultProbeKey     = "fallback:probe"
	defaultProbeTimeout = 2 * time.Second
	defaultLocalCheck   = 30 * time.Second
	defaultRetries      = 3
)

func newConfig(opts []Option) config {
	c := config{}
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	orText := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	// 0 is the default, below 0 is off: 0 from here on.
	orTime := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
		*d = max(*d, 0)
	}
	orText(&c.name, defaultName)
	orText(&c.probeKey, defaultProbeKey)
	orTime(&c.silence, defaultSilence)
	orTime(&c.pingTimeout, defaultPingTimeout)
	orTime(&c.probeTimeout, defaultProbeTimeout)
	orTime(&c.localCheck, defaultLocalCheck)
	if c.pingTimeout == 0 {
		c.pingTimeout = defaultPingTimeout
	}
	if c.probeTimeout == 0 {
		c.probeTimeout = defaultProbeTimeout
	}
	if c.retries == 0 {
		c.retries = defaultRetries
	}
	c.retries = max(c.retries, 0)
	if c.logger == nil {
		c.logger = slog.Default()
	}
	if c.health.Cooldown == 0 {
		c.health.Cooldown = c.breaker.Cooldown
	}
	c.health = c.health.WithDefaults()
	c.journal = c.journal.withDefaults()
	c.mirror = c.mirror.withDefaults()
	return c
}

// WithName names the primary in Status, logs, spans and the names of metrics. Default "upstash".
func WithName(name string) Option { return func(c *config) { c.name = name } }

// WithLogger sets the logger: one line for each change. Default slog.Default(), as it is at New.
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.logger = l } }

// WithDetector has d asked before Detect about every error of a command on the primary. Default none.
func WithDetector(d Detector) Option { return func(c *config) { c.detector = d } }

// WithRepeatable declares commands that this application may run twice although they could tell:
// SADD, DEL, HSET or SET NX, say, where nobody looks at the reply. f is asked about commands that are
// not known to be harmless; they are then repeated after a lost reply. Default none.
func WithRepeatable(f func(redis.Cmder) bool) Option { return func(c *config) { c.repeatable = f } }

// WithPrimaryOnly keeps commands off local, as PrimaryOnly does for a context: a lock, a payment.
// Default none.
func WithPrimaryOnly(f func(redis.Cmder) bool) Option { return func(c *config) { c.only = f } }

// WithOnSwitch adds a function that is told of every switch, in order, one at a time, from a
// goroutine of its own. A panic in it is logged; while it blocks, only further events wait. It may be
// given more than once. Default none.
func WithOnSwitch(f func(Event)) Option {
	return func(c *config) {
		if f != nil {
			c.onSwitch = append(c.onSwitch, f)
		}
	}
}

// WithBreaker sets the numbers of both circuit breakers. Defaults: 5 failures in a row, 60 s
// cool-down, 1 call at a time while half-open.
func WithBreaker(b breaker.Config) Option { return func(c *config) { c.breaker = b } }

// WithHealth sets when the primary is looked at again after a trip, and what makes it well. Defaults:
// a hold of 5 min after a quota refusal, growing to 1 h; the breaker's cool-down after an outage; 3
// good probes in a row, 5 s apart.
func WithHealth(h health.Config) Option { return func(c *config) { c.health = h } }

// WithProbe sets the key that probes write to the primary, with an expiry of a minute, and the time
// that one probe may take. On a cluster a hash tag follows the key, {a}, {b} or {c} in turn. Defaults
// "fallback:probe" and 2 s. Every probe is one billed command.
func WithProbe(key string, timeout time.Duration) Option {
	return func(c *config) { c.probeKey, c.probeTimeout = key, timeout }
}

// WithHang sets how a hung primary is recognised: after silence without a reply, a PING on a fresh
// connection that is not answered within ping, beyond the time that a dial takes anyway, is an
// outage. A call on a server that hangs waits silence and ping at most. A server that answers the PING
// is slow, and left alone, as is what waits there; a blocking command leads to such a PING now and
// then, if nothing else has been answered meanwhile. Local is watched in the same way. Defaults 1 s
// and 500 ms; silence -1 leaves hung servers to the client's own time-outs.
func WithHang(silence, ping time.Duration) Option {
	return func(c *config) { c.silence, c.pingTimeout = silence, ping }
}

// WithLocalCheck sets how often local is checked while the primary serves. Default 30 s, -1 never.
func WithLocalCheck(every time.Duration) Option { return func(c *config) { c.localCheck = every } }

// WithRetries sets how often the hook itself repeats a command that must not run twice and provably
// has not run, with a backoff from 10 ms to 1 s: in place of go-redis' own blind retries, which it
// keeps away from such commands. Default 3, as go-redis' MaxRetries; -1 never.
func WithRetries(n int) Option { return func(c *config) { c.retries = n } }

// WithTripOnStorage makes a full storage (LimitStorage, LimitMemory) switch to local as a quota does.
// While local serves for that reason, deletions go to the primary as well, or it could never become
// well. Default off: the typed error goes to the caller, and reads and deletions go on.
func WithTripOnStorage() Option { return func(c *config) { c.onStorage = true } }
