package fallback_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// run is the table with one protocol.
type run struct {
	f     *field
	rigs  map[*mode]*rig
	known bool // the server is of the version that the tables were written for
	count *tally
}

func newRun(t *testing.T, protocol int, count *tally) *run {
	t.Helper()
	r := &run{f: newField(t, protocol), rigs: map[*mode]*rig{}, count: count}
	version := r.f.control[fallback.Primary].InfoMap(ctx, "server").Item("Server", "redis_version")
	r.known = strings.HasPrefix(version, "7.0.")
	t.Cleanup(func() {
		for _, g := range r.rigs {
			g.stop()
		}
	})
	return r
}

func (r *run) all(t *testing.T, all map[string]sample) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			s := all[name]
			for _, as := range s.sendable() {
				r.row(t, name, &s, as)
			}
		})
	}
}

// rig returns the client of a mode.
func (r *run) rig(m *mode) *rig {
	g := r.rigs[m]
	if g == nil {
		g = m.build(r.f)
		r.rigs[m] = g
	}
	return g
}

// row compares one call in one shape, in all modes.
func (r *run) row(t *testing.T, name string, s *sample, as shape) {
	t.Helper()
	var want cell
	for i, m := range modes {
		if !m.takes(as) {
			continue
		}
		g := r.rig(m)
		var got cell
		if m.home {
			home(t, g)
		}
		got.laid = r.f.lay(t, s)
		m.ready(g)
		began := g.gate.seen.Load()
		got.answer = s.send(g.c, as)
		got.asked = g.gate.seen.Load() - began
		got.sent = got.sent || as == single && got.asked > 0
		got.held, got.rest = r.f.holds(t, s)
		if g.h != nil {
			got.serving = g.h.Serving()
		}
		if s.dirty || s.goesOn {
			g.stop()
			delete(r.rigs, m)
		}
		if i == 0 {
			want = got
			r.count.call(s)
			r.realArguments(t, s, want)
			continue
		}
		problems := judge(m, s, as, want, got)
		r.count.cell(t, fmt.Sprintf("%s, %s, %s", name, as, m.name), r.f.protocol, problems)
	}
}

// realArguments fails where a command that the server knows has arguments that were made up: what it
// answers then is an error that says little.
func (r *run) realArguments(t *testing.T, s *sample, bare cell) {
	t.Helper()
	if s.hand || !r.known || !bare.sent {
		return
	}
	if err := bare.of().err; err == nil || !strings.HasPrefix(err.Error(), "ERR unknown") {
		t.Errorf("the server knows the command of redis.Cmdable.%s: call it with arguments of its own in a table of conformance_*_test.go; made up ones give %s",
			s.method, describe(err))
	}
}

// cell is all that is seen of one call.
type cell struct {
	answer
	asked      int64     // commands that the primary was sent
	laid, held [2]string // digests of both servers, before and after
	rest       [2]string // and after, without n1
	serving    fallback.Backend
}

// judge compares a cell with that of a bare client.
func judge(m *mode, s *sample, as shape, want, got cell) (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	stays := s.stays && want.sent
	by, refused := m.served(stays)

	split := m.split && got.asked > 0 && as == pipeline
	if refused {
		for i, o := range got.outcomes {
			if split && i == 0 {
				if o.text != want.outcomes[i].text {
					wrong("got %s of the neighbour before, bare %s", o.text, want.outcomes[i].text)
				}
				continue
			}
			if !refusal(o.err) {
				wrong("it stays on the primary, and its caller must get the primary's refusal, not %s", o.text)
			}
		}
		if len(got.outcomes) > 1 && !refusal(got.exec) {
			wrong("Exec must return the primary's refusal, not %s", describe(got.exec))
		}
	} else if got.String() != want.String() {
		wrong("got%.3000s\n\tbare%.3000s", got, want)
	}

	if split {
		// The rest is the same as ever.
		if got.held[fallback.Primary] == got.laid[fallback.Primary] || got.held[fallback.Local] != got.rest[fallback.Local] {
			wrong("the neighbour before ran on the wrong server")
		}
		got.held, want.held = got.rest, want.rest
	}
	for b, name := range []string{"the primary", "local"} {
		switch ran := fallback.Backend(b) == by && !refused; {
		case !ran && got.held[b] != got.laid[b]:
			wrong("something ran on %s", name)
		case ran && s.moves && got.held[b] == got.laid[b]:
			wrong("nothing ran on %s", name)
		case ran && !s.moves && got.held[b] != want.held[fallback.Primary]:
			wrong("%s holds something else than after the call of a bare client", name)
		}
	}

	asked := want.asked
	if !m.touches && !stays {
		asked = 0
	}
	if got.asked != asked {
		wrong("the primary was sent %d commands, want %d", got.asked, asked)
	}
	if want.asked > 0 && got.serving != m.after {
		wrong("%v serves, want %v", got.serving, m.after)
	}
	return problems
}

// tally counts, for both protocols.
type tally struct {
	mu         sync.Mutex
	methods    map[string]bool // true: with arguments by hand
	cells      atomic.Int64
	documented atomic.Int64
	rows       sync.Map // of documented that differed
}

func (c *tally) call(s *sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.methods == nil {
		c.methods = map[string]bool{}
	}
	c.methods[s.method] = s.hand
}

func (c *tally) cell(t *testing.T, where string, protocol int, problems []string) {
	t.Helper()
	c.cells.Add(1)
	if len(problems) == 0 {
		return
	}
	if _, ok := documented[where]; ok {
		c.documented.Add(1)
		c.rows.Store(where, true)
		return
	}
	t.Errorf("RESP%d, %s: %s", protocol, where, strings.Join(problems, "\n\t"))
}

// report says what was compared. A run of a part of the table, by -run, proves nothing of the rest.
func (c *tally) report(t *testing.T, all map[string]sample) {
	t.Helper()
	methods := reflect.TypeFor[redis.Cmdable]().NumMethod()
	want := 0
	for _, s := range all {
		for _, as := range s.sendable() {
			for _, m := range modes[1:] {
				if m.takes(as) {
					want += 2 // protocols
				}
			}
		}
	}
	hand := 0
	for _, byHand := range c.methods {
		if byHand {
			hand++
		}
	}
	t.Logf("%d of %d methods (%d with arguments by hand, %d with made up ones), %d of %d cells, %d documented differences in them",
		len(c.methods), methods, hand, len(c.methods)-hand, c.cells.Load(), want, c.documented.Load())
	if int(c.cells.Load()) < want {
		return
	}
	for name, reason := range documented {
		if _, ok := c.rows.Load(name); !ok && !slices.Contains(byChance, name) {
			t.Errorf("%s is documented as a difference and is none any more: %s", name, reason)
		} else {
			t.Logf("documented: %s: %s", name, reason)
		}
	}
	if len(c.methods) != methods {
		t.Errorf("%d methods were called, redis.Cmdable has %d", len(c.methods), methods)
	}
}
