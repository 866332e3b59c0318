package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/diagnosis"
	"github.com/redis/go-redis/v9"
)

// patient is one server that is looked at.
type patient struct {
	*checkup
	name     string // primary or local
	variable string // that its URL stands in
	o        *redis.Options
	rdb      *redis.Client

	sent   atomic.Int64      // commands that a host bills
	server map[string]string // what INFO and CONFIG say; nil until it has answered
	clock  clock
	limit  bool // it refuses for a limit
}

// clock is how far a server's clock is ahead of this machine's, give or take.
type clock struct {
	ahead, give time.Duration
	known       bool
}

// lookTime bounds each step.
const lookTime = 5 * time.Second

func newPatient(c *checkup, name, variable string, o *redis.Options) *patient {
	own := *o
	quiet(&own)
	own.Dialer, own.OnConnect = nil, nil
	own.DialTimeout, own.ReadTimeout, own.WriteTimeout = lookTime, lookTime, lookTime
	p := &patient{checkup: c, name: name, variable: variable, o: &own}
	p.rdb = redis.NewClient(&own)
	p.rdb.AddHook(bill{&p.sent})
	return p
}

func (p *patient) close() { _ = p.rdb.Close() }

func (p *patient) ok(name, format string, args ...any) {
	p.add(diagnosis.OK, p.name, name, fmt.Sprintf(format, args...), "")
}

func (p *patient) warn(name, text, do string)  { p.add(diagnosis.Warning, p.name, name, text, do) }
func (p *patient) error(name, text, do string) { p.add(diagnosis.Error, p.name, name, text, do) }

// basics looks whether the server can be reached and used at all, and what it says of itself.
func (p *patient) basics(ctx context.Context) bool {
	for _, step := range []func(context.Context) bool{p.reached, p.secured, p.login} {
		bounded, cancel := context.WithTimeout(ctx, lookTime)
		well := step(bounded)
		cancel()
		if !well {
			return false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	p.ask(ctx)
	p.readClock(ctx)
	return !p.limit
}

func (p *patient) reached(ctx context.Context) bool {
	began := time.Now()
	conn, err := (&net.Dialer{}).DialContext(ctx, p.o.Network, p.o.Addr)
	if err != nil {
		p.error("reached", "not reachable: "+err.Error(), "is "+p.variable+" right, the server running, and no firewall between?")
		return false
	}
	_ = conn.Close()
	p.ok("reached", "%s in %s", p.o.Addr, short(time.Since(began)))
	return true
}

// secured looks at TLS.
func (p *patient) secured(ctx context.Context) bool {
	if p.o.TLSConfig == nil {
		if awayFrom(p.o) {
			p.warn("TLS", "none, over a network: password and data can be read on the way", "use rediss:// in "+p.variable+" where the server has TLS")
		} else {
			p.ok("TLS", "none, and none needed on this machine")
		}
		return true
	}
	conn, err := (&tls.Dialer{Config: p.o.TLSConfig}).DialContext(ctx, p.o.Network, p.o.Addr)
	if err != nil {
		p.error("TLS", "no handshake: "+err.Error(), "does the server speak TLS at this port (else redis://), for this name, with a certificate that this machine trusts?")
		return false
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	left := time.Until(state.PeerCertificates[0].NotAfter)
	switch days := int(left.Hours() / 24); {
	case p.o.TLSConfig.InsecureSkipVerify:
		p.warn("TLS", tls.VersionName(state.Version)+", but nobody looks whose certificate it is (skip_verify)", "leave skip_verify out, and trust the server's authority")
	case days < 14:
		p.warn("TLS", fmt.Sprintf("%s, and the certificate ends in %d days", tls.VersionName(state.Version), days), "renew it")
	default:
		p.ok("TLS", "%s, certificate for %d more days", tls.VersionName(state.Version), days)
	}
	return true
}

// login is the first command, with HELLO and AUTH before it.
func (p *patient) login(ctx context.Context) bool {
	if err := p.rdb.Ping(ctx).Err(); err != nil {
		p.refusal("login", err)
		return false
	}
	quickest := lookTime
	for range 3 {
		began := time.Now()
		if err := p.rdb.Ping(ctx).Err(); err != nil {
			p.refusal("login", err)
			return false
		}
		quickest = min(quickest, time.Since(began))
	}
	user := p.o.Username
	if user == "" {
		user = "default"
	}
	p.ok("login", "as %s, database %d, round trip %s", user, p.o.DB, short(quickest))
	return true
}

// refusal says what to do about an error of the server. That the primary is over its limit is what the
// fallback is for; that local is, is not.
func (p *patient) refusal(name string, err error) {
	v := fallback.Detect(nil, err)
	switch {
	case v == fallback.Limit, v == fallback.Capacity:
		text := "it refuses for its limit: " + err.Error()
		if p.name == "primary" {
			p.warn(name, text, "nothing: local is there for that. What else is to be looked at here waits until it takes commands")
			return
		}
		p.error(name, text, "local must take whatever comes: give it more, or use another server")
	case redis.IsPermissionError(err):
		p.error(name, "its user may not: "+err.Error(), "allow it what is named there, and the keys fallback:*")
	case redis.IsAuthError(err):
		p.error(name, "wrong or missing password: "+err.Error(), "mend user and password in "+p.variable)
	case strings.Contains(err.Error(), "DB index"), strings.Contains(err.Error(), "SELECT"):
		p.error(name, fmt.Sprintf("it has no database %d: %v", p.o.DB, err), "mend the number at the end of "+p.variable)
	default:
		p.error(name, err.Error(), "is "+p.variable+" right, and is that a Redis?")
	}
}

// ask reads INFO and some settings. Neither is billed; a server that tells less is no worse for it.
func (p *patient) ask(ctx context.Context) {
	p.server = map[string]string{}
	for line := range strings.Lines(p.rdb.Info(ctx).Val()) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			p.server[k] = v
		}
	}
	config := redis.NewMapStringStringCmd(ctx, "config", "get", "timeout", "maxmemory", "maxmemory-policy", "maxclients")
	_ = p.rdb.Process(ctx, config)
	maps.Copy(p.server, config.Val())
	version := p.server["redis_version"]
	if version == "" {
		p.ok("version", "it does not say")
		return
	}
	p.ok("version", "Redis %s", version)
}

// number is a number that the server has told; 0 where it has not.
func (p *patient) number(name string) int64 {
	n, _ := strconv.ParseInt(p.server[name], 10, 64)
	return n
}

// readClock compares the server's clock with this machine's.
func (p *patient) readClock(ctx context.Context) {
	began := time.Now()
	at, err := p.rdb.Time(ctx).Result()
	took := time.Since(began)
	switch v := fallback.Detect(nil, err); {
	case err == nil:
	case v == fallback.Limit: // the first command that a host bills: PING and INFO are answered over a quota
		p.limit = true
		p.refusal("limit", err)
		return
	default:
		p.warn("clock", "it does not tell the time: "+err.Error(), "allow its user TIME")
		return
	}
	p.clock = clock{at.Sub(began.Add(took / 2)), took / 2, true}
	p.tellClock("clock", "this machine's", p.clock)
}

// mostApart is how far clocks may be apart before expiries and ages are felt to be wrong.
const mostApart = time.Second

func (p *patient) tellClock(name, whose string, c clock) {
	apart := c.ahead.Abs()
	if apart-c.give > mostApart {
		way := "ahead of"
		if c.ahead < 0 {
			way = "behind"
		}
		p.warn(name, fmt.Sprintf("its clock is %s %s %s: expiries and the times in this tool's tables are off by as much", short(apart), way, whose),
			"have all machines keep time by NTP")
		return
	}
	p.ok(name, "as %s, within %s", whose, short(apart+c.give))
}

// short is a time to three digits.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// awayFrom reports a server that is reached over a network.
func awayFrom(o *redis.Options) bool {
	host, _, err := net.SplitHostPort(o.Addr)
	if err != nil || o.Network == "unix" || host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}

// bill is a hook that counts what a host bills.
type bill struct{ n *atomic.Int64 }

// free are commands that are not billed.
var free = map[string]bool{"ping": true, "hello": true, "auth": true, "select": true, "info": true, "config": true, "command": true}

func (b bill) count(cmds ...redis.Cmder) {
	for _, cmd := range cmds {
		if !free[cmd.Name()] {
			b.n.Add(1)
		}
	}
}

func (bill) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b bill) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		b.count(cmd)
		return next(ctx, cmd)
	}
}

func (b bill) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		b.count(cmds...)
		return next(ctx, cmds)
	}
}

// firstError is the first of some commands that failed; a nil is no failure.
func firstError(cmds ...redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("%s: %w", strings.ToUpper(cmd.Name()), err)
		}
	}
	return nil
}
