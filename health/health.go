// Package health decides when to look whether a server is well again, and when it has been well
// often enough. It is the decision alone: no timer, no goroutine, no network.
//
// A server over its quota is left alone for Hold, which grows with jitter up to MaxHold while it goes
// on refusing, because every look costs one of the commands that ran out. A server that was gone is
// looked at again after Cooldown. Then Successes looks in a row, Every apart, must succeed: limits
// are enforced node by node, so that one success after a refusal proves nothing.
package health

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Config holds the numbers of a Plan. 0 is the default.
type Config struct {
	// Hold after a first quota refusal. Default 5 min.
	Hold time.Duration
	// MaxHold bounds its growth. Default 1 h.
	MaxHold time.Duration
	// Cooldown after an outage. Default 60 s.
	Cooldown time.Duration
	// Successes in a row that make a server well. Default 3.
	Successes int
	// Every is the time between two of them. Default 5 s.
	Every time.Duration
}

// WithDefaults returns c with each 0 replaced by its default.
func (c Config) WithDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&c.Hold, 5*time.Minute)
	set(&c.MaxHold, time.Hour)
	set(&c.Cooldown, time.Minute)
	set(&c.Every, 5*time.Second)
	if c.Successes <= 0 {
		c.Successes = 3
	}
	c.MaxHold = max(c.MaxHold, c.Hold)
	return c
}

// Sign is what was seen of a server.
type Sign uint8

// What was seen: it answered, it refused for its quota, it did not answer.
const (
	Answered Sign = iota
	Refused
	Silent
)

// Plan is the state of one server's recovery. It is not safe for concurrent use. Make one with
// NewPlan.
type Plan struct {
	cfg       Config
	growth    *backoff.ExponentialBackOff
	hold      time.Duration // the last one; 0 when none is remembered
	successes int
	wellSince time.Time
}

// NewPlan returns the plan of a server that is well.
func NewPlan(cfg Config) *Plan {
	cfg = cfg.WithDefaults()
	p := &Plan{cfg: cfg}
	p.growth = backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(cfg.Hold),
		backoff.WithMaxInterval(cfg.MaxHold),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0.1),
		backoff.WithMaxElapsedTime(0),
	)
	return p
}

// Leave starts a recovery, at the moment the server was left because of sign, and returns the time
// until the first look. A server that refuses again soon after it came back is left alone longer
// than the last time: what is soon is measured by that last hold.
func (p *Plan) Leave(now time.Time, sign Sign) time.Duration {
	if p.hold > 0 && now.Sub(p.wellSince) > p.hold {
		p.forget()
	}
	p.successes = 0
	return p.wait(sign)
}

// Looked takes what a look has seen, and returns the time until the next one, or that the server is
// well again.
func (p *Plan) Looked(now time.Time, sign Sign) (wait time.Duration, well bool) {
	if sign != Answered {
		p.successes = 0
		return p.wait(sign), false
	}
	if p.successes++; p.successes < p.cfg.Successes {
		return p.cfg.Every, false
	}
	p.wellSince = now
	return 0, true
}

// Successes returns how many looks in a row have succeeded.
func (p *Plan) Successes() int { return p.successes }

// wait returns the time until the next look. Jitter keeps the processes of a fleet apart; it never
// shortens the first hold, which was promised.
func (p *Plan) wait(sign Sign) time.Duration {
	if sign != Refused {
		return p.cfg.Cooldown
	}
	p.hold = min(max(p.growth.NextBackOff(), p.cfg.Hold), p.cfg.MaxHold)
	return p.hold
}

func (p *Plan) forget() {
	p.hold = 0
	p.growth.Reset()
}
