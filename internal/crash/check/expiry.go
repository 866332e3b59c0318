package check

import "github.com/redis-fallback/fallback/internal/crash/history"

// expiries looks at keys that were to expire.
func (c *checker) expiries() {
	touches := map[string][]*history.Op{}
	for _, o := range c.ops {
		if o.Kind == history.Touch {
			touches[o.Key] = append(touches[o.Key], o)
		}
	}
	for _, o := range c.ops {
		switch o.Kind {
		case history.Expiring:
			v, there := c.final.Strings[o.Key]
			if there && v != o.Value {
				c.violate(Foreign, o.Key, "%q", v)
			}
			c.expiry(o, there)
		case history.Session:
			c.session(o, touches[o.Key])
		default:
		}
	}
}

// expiry judges one key by the one write that gave it its expiry.
func (c *checker) expiry(o *history.Op, there bool) {
	from, to := o.Begin+o.N-margin, o.End+o.N+margin+c.final.Slack
	if o.State == history.Open {
		to = c.final.At + o.N // it ran before that
	}
	deadline, expires := c.final.Expires[o.Key]
	if expires && o.State == history.Acked {
		c.Slip = max(c.Slip, deadline-o.End-o.N)
	}
	switch {
	case there && o.State == history.Refused:
		c.violate(Doubled, o.Key, "it is there, and its caller was told that it had not run")
	case there && !expires:
		c.violate(Expiry, o.Key, "it has none, and was to expire after %d ms", o.N)
	case there && o.State != history.Failed && (deadline < from || deadline > to):
		c.violate(Expiry, o.Key, "it expires at %d, and was to between %d and %d", deadline, from, to)
	case there && o.State == history.Acked && c.final.At > to:
		c.violate(Expiry, o.Key, "it is there %d ms after it was to expire", c.final.At-to)
	case !there && o.State == history.Acked && c.final.At < from:
		if c.at(o.Value).dead > 0 {
			c.Dead++
			return
		}
		c.violate(Missing, o.Key, "acknowledged by %c at %d, to expire after %d ms", o.Server, o.End, o.N)
	}
}

// session judges a hash that was given an expiry with its first field, and touched later.
func (c *checker) session(o *history.Op, touches []*history.Op) {
	fields, there := c.final.Hashes[o.Key]
	if _, counter := c.final.Strings[o.Key]; counter {
		there = true
	} else if there && o.State == history.Acked && c.final.At < o.Begin+o.N-margin {
		for _, w := range append([]*history.Op{o}, touches...) {
			if w.State == history.Acked && fields[w.Value] == "" {
				c.violate(Missing, w.Key, "field %s", w.Value)
			}
		}
	}
	for _, t := range touches {
		if t.State != history.Refused && !covered(o, t) {
			// It may have met a server that did not have the session, or no longer: there it made a
			// new one, which never ends, as the application has told it to.
			return
		}
	}
	c.expiry(o, there)
}

// covered reports that a session surely was alive, on the server that a touch met.
func covered(o, touch *history.Op) bool {
	return o.State == history.Acked && touch.State == history.Acked &&
		o.Epoch >= 0 && o.Epoch == touch.Epoch && o.Server == touch.Server && o.Server != history.Either &&
		touch.End-o.Begin < o.N-margin/2
}
