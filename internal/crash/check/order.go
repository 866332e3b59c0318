package check

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/redis-fallback/fallback/internal/crash/history"
)

// order looks at what keeps the order in which it was written: a goroutine writes its next operation
// when it has the reply of the one before, so its values are in its order wherever they stand.
func (c *checker) order() {
	for key, list := range c.final.Lists {
		c.inOrder(key, list)
	}
	for key, stream := range c.final.Streams {
		values := make([]string, len(stream))
		for i, m := range stream {
			values[i] = m.Value
		}
		c.inOrder(key, values)
	}
}

func (c *checker) inOrder(key string, values []string) {
	newest := map[string]*history.Op{} // by goroutine
	latest := map[string]*history.Op{} // by process: the one that began last
	var anywhere *history.Op           // the same of all
	for _, v := range values {
		o := c.values[v]
		if o == nil {
			continue
		}
		last, own := newest[o.By], latest[o.Process()]
		switch {
		case last != nil && o.Seq < last.Seq: // the same value twice is doubled, not out of order
			c.overtaken(key, o, last)
		case own != nil && before(o, own):
			c.violate(Disordered, key, "%s came after %s of the same process", describe(o), describe(own))
		case anywhere != nil && before(o, anywhere):
			c.Window++
		}
		if last == nil || o.Seq > last.Seq {
			newest[o.By] = o
		}
		if own == nil || o.Begin > own.Begin {
			latest[o.Process()] = o
		}
		if anywhere == nil || o.Begin > anywhere.Begin {
			anywhere = o
		}
	}
}

// before reports that a write was acknowledged before another began.
func before(a, b *history.Op) bool { return a.State == history.Acked && a.End < b.Begin }

// overtaken judges a write that took effect after a later one of the same goroutine.
func (c *checker) overtaken(key string, first, later *history.Op) {
	if first.State == history.Acked {
		c.violate(Disordered, key, "%s came after %s", describe(first), describe(later))
		return
	}
	// It was lost. A server may still run it when its client has given up, before or after what the
	// client sends next. Not so when the other server has acknowledged that: a switch waits for what
	// is on its way, and fences what comes too late.
	if first.Server != history.Either && later.Server != history.Either && first.Server != later.Server && later.State == history.Acked {
		c.violate(Disordered, key, "%s was lost on one server, and came after %s of the other", describe(first), describe(later))
		return
	}
	c.Late++
}

func describe(o *history.Op) string {
	return fmt.Sprintf("%s/%d (%c by %c, %d-%d)", o.By, o.Seq, o.State, o.Server, o.Begin, o.End)
}

// registers looks at keys that one goroutine overwrites: the last write wins.
func (c *checker) registers() {
	byKey := map[string][]*history.Op{}
	for _, o := range c.ops {
		if o.Kind == history.Register || o.Kind == history.Version {
			byKey[o.Key] = append(byKey[o.Key], o)
		}
	}
	for key, ops := range byKey {
		slices.SortFunc(ops, func(a, b *history.Op) int { return a.Seq - b.Seq })
		text, there := c.final.Strings[key]
		if ops[0].Kind == history.Version {
			text, there = c.final.Hashes[key]["v"], c.final.Hashes[key]["v"] != ""
		}
		var last *history.Op // acknowledged
		for _, o := range ops {
			if o.State == history.Acked {
				last = o
			}
		}
		if !there {
			switch {
			case last == nil:
			case c.buried(key):
				c.Dead++
			default:
				c.violate(Missing, key, "%s, and the key is absent", describe(last))
			}
			continue
		}
		value, err := number(text)
		i := slices.IndexFunc(ops, func(o *history.Op) bool { return int64(o.Seq) == value })
		switch {
		case err != nil || i < 0:
			c.violate(Foreign, key, "%q", text)
		case ops[i].State == history.Refused:
			c.violate(Doubled, key, "%s is there, and its caller was told that it had not run", describe(ops[i]))
		case last != nil && ops[i].Seq < last.Seq && c.buried(key):
			c.Dead++
		case last != nil && ops[i].Seq < last.Seq:
			c.overtaken(key, ops[i], last)
		}
	}
	for key := range c.final.Strings {
		if isOwn(key) && byKey[key] == nil {
			c.violate(Foreign, key, "nobody wrote it")
		}
	}
}

// swaps looks at compare-and-set: of those who read one value on one server, one alone can have put
// its own in its place.
func (c *checker) swaps() {
	type read struct {
		server     history.Server
		key, value string
	}
	by := map[read]*history.Op{}
	for _, o := range c.ops {
		if o.Kind != history.Swap || o.State != history.Acked {
			continue
		}
		if o.Reply != "" && c.values[o.Reply] == nil {
			c.violate(Foreign, o.Key, "read %q", o.Reply)
		}
		r := read{o.Server, o.Key, o.Reply}
		if first := by[r]; first != nil && o.Server != history.Either {
			c.violate(Doubled, o.Key, "%s and %s have both replaced %q", describe(first), describe(o), o.Reply)
			continue
		}
		by[r] = o
	}
	for r, o := range by {
		if r.server == history.Primary && r.value != "" && c.final.Strings[r.key] == r.value {
			c.violate(Doubled, r.key, "%q is back, which %s has replaced", r.value, describe(o))
		}
	}
	for key, v := range c.final.Strings {
		if o := c.values[v]; o != nil && (o.Kind != history.Swap || o.Key != key) && o.Kind != history.Expiring {
			c.violate(Foreign, key, "%q", v)
		}
	}
}

// number is 0 for an absent key.
func number(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	return strconv.ParseInt(s, 10, 64)
}
