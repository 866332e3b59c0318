package check

import "github.com/redis-fallback/fallback/internal/crash/history"

// counters compares each with the sum of what was added.
func (c *checker) counters() {
	type sums struct{ acked, unsure int64 }
	byKey := map[string]*sums{}
	for _, o := range c.ops {
		if o.Kind != history.Incr {
			continue
		}
		s := byKey[o.Key]
		if s == nil {
			s = &sums{}
			byKey[o.Key] = s
		}
		switch {
		case o.State == history.Acked:
			s.acked += o.N
		case o.Unsure():
			s.unsure += o.N
		}
	}
	for key, s := range byKey {
		value, err := number(c.final.Strings[key])
		switch {
		case err != nil:
			c.violate(Foreign, key, "%q", c.final.Strings[key])
		case value < s.acked && c.buried(key):
			c.Dead++
		case value < s.acked:
			c.violate(Missing, key, "%d of %d acknowledged increments", s.acked-value, s.acked)
		case value > s.acked+s.unsure:
			c.violate(Doubled, key, "%d, and at most %d were added", value, s.acked+s.unsure)
		}
	}
}

// elements looks at each write whose value can be found again.
func (c *checker) elements() {
	for _, o := range c.ops {
		switch o.Kind {
		case history.Add, history.Push, history.Field, history.Entry, history.Swap:
			p := c.at(o.Value)
			c.once(o, len(p.keys), p.dead)
			if o.Kind == history.Add && o.State == history.Acked && o.Reply == "0" {
				c.violate(Doubled, o.Key, "SADD of %s answered that it was there already", o.Value)
			}
		case history.Clash:
			p := c.at(o.Value)
			c.once(o, 0, p.dead)
			if p.dead > 1 {
				c.violate(Doubled, o.Key, "%s is in %d dead letters", o.Value, p.dead)
			}
		default:
		}
	}
}

// once judges one write that is n times on the primary.
func (c *checker) once(o *history.Op, n, dead int) {
	switch {
	case n > 1:
		c.violate(Doubled, o.Key, "%s is there %d times", o.Value, n)
	case n > 0 && o.State == history.Refused:
		c.violate(Doubled, o.Key, "%s is there, and its caller was told that it had not run (%s)", o.Value, o.Reply)
	case n == 0 && o.State == history.Acked && dead > 0:
		c.Dead++
	case n == 0 && o.State == history.Acked:
		c.violate(Missing, o.Key, "%s, %s by %c at %d", o.Value, o.Kind, o.Server, o.End)
	}
}

// queues looks at what was pushed and popped: it is on the primary, or was popped, once.
func (c *checker) queues() {
	lost := map[string]int{}      // pops that may have taken something
	gone := map[string][]string{} // acknowledged, and nowhere
	for _, o := range c.ops {
		switch {
		case o.Kind == history.Pop && o.Unsure():
			lost[o.Key]++
		case o.Kind == history.Enqueue:
			p := c.at(o.Value)
			switch n := len(p.keys); {
			case n > 0 && len(p.out) > 0:
				c.violate(Doubled, o.Key, "%s is there, and was popped", o.Value)
			case n == 0 && len(p.out) == 0 && o.State == history.Acked && p.dead == 0:
				gone[o.Key] = append(gone[o.Key], o.Value)
			case n == 0 && len(p.out) > 0:
				c.popped(o, p.out)
			default:
				c.once(o, n, p.dead)
			}
		}
	}
	for key, values := range gone {
		excused := min(lost[key], len(values))
		c.Excused += excused
		if n := len(values) - excused; n > 0 {
			for _, v := range values[:n] {
				c.violate(Missing, key, "%s, or another: %d are gone, and %d pops were lost", v, len(values), lost[key])
			}
		}
	}
}

// popped judges a value that was popped, perhaps more than once.
func (c *checker) popped(o *history.Op, out []*history.Op) {
	on := map[history.Server]int{}
	for _, p := range out {
		on[p.Server]++
	}
	switch {
	case on[history.Primary] > 1 || on[history.Local] > 1 || len(out) > 2:
		c.violate(Doubled, o.Key, "%s was popped %d times", o.Value, len(out))
	case len(out) > 1:
		c.Stale++
	}
}

// transactions looks for those of which a part is there and another is not.
func (c *checker) transactions() {
	type id struct {
		by    string
		group int
	}
	type parts struct{ there, absent string }
	all := map[id]*parts{}
	for _, o := range c.ops {
		if o.Batch != history.Transaction {
			continue
		}
		switch o.Kind {
		case history.Add, history.Push, history.Field, history.Entry:
		default:
			continue // may be gone again, or says nothing by itself
		}
		at := c.at(o.Value)
		if at.dead > 0 {
			continue
		}
		t := all[id{o.By, o.Group}]
		if t == nil {
			t = &parts{}
			all[id{o.By, o.Group}] = t
		}
		if len(at.keys) > 0 {
			t.there = o.Value
		} else {
			t.absent = o.Value
		}
	}
	for _, t := range all {
		if t.there != "" && t.absent != "" {
			c.violate(Torn, c.values[t.there].Key, "%s is there, %s of the same transaction is not", t.there, t.absent)
		}
	}
}
