package main

import "fmt"

// steps gives the successors of one state, each with its label and whether it is the environment's.
type steps struct {
	c      *Config
	s      State
	labels bool // off while searching: labels are made when a trace is told
	out    func(t State, label string, environment bool)
}

func (x *steps) step(t State, format string, a ...any) {
	x.out(t, x.label(format, a), false)
}

func (x *steps) event(t State, format string, a ...any) {
	x.out(t, x.label(format, a), true)
}

func (x *steps) label(format string, a []any) string {
	if !x.labels {
		return ""
	}
	return fmt.Sprintf(format, a...)
}

// all is every step that can be made now.
func (x *steps) all() {
	x.environment()
	for i := range processes {
		if x.s.w[i].pc == dead {
			continue
		}
		x.process(i)
		x.writer(i)
		x.drainer(i)
	}
}

func (x *steps) environment() {
	s := &x.s
	for _, mask := range []uint8{1, 2, 3} {
		if s.refusals > 0 && s.refuses|mask != s.refuses && (mask != 3 || s.refuses == 0) {
			t := *s
			t.refuses |= mask
			t.refusals--
			x.event(t, "the primary begins to refuse %02b", mask)
		}
		if s.refuses&mask == mask {
			t := *s
			t.refuses &^= mask
			x.event(t, "the primary accepts %02b again", mask)
		}
	}
	if s.evicts > 0 && s.position != absent {
		t := *s
		t.evicts--
		t.position, t.skipped = absent, 0
		t.touch(-1)
		x.event(t, "the position is evicted")
	}
	if s.falls > 0 && s.fence != absent {
		t := *s
		t.falls--
		t.raise(absent, 0)
		x.event(t, "the fence is evicted")
	}
	if s.ghost != absent {
		t := *s
		t.runOnPrimary(x.c, t.ghost)
		t.ghost = absent
		x.event(t, "the lost command w%d runs on the primary now", s.ghost)
		t = *s
		t.ghost = absent
		x.event(t, "the lost command w%d vanishes", s.ghost)
	}
}

// process is what happens to a process, whatever its writer does.
func (x *steps) process(i int) {
	s := &x.s
	w := s.w[i]
	if s.ends > 0 {
		t := *s
		t.ends--
		if w.pc != idle {
			t.end(x.c, i, false)
		}
		t.w[i] = writer{pc: dead, k: x.c.Writes[i]}
		t.d[i] = drainer{}
		x.event(t, "p%d dies", i)
	}
	if w.epoch != s.epoch { // the message that is published, or the look at each tick
		t := *s
		t.resume(x.c, i)
		x.step(t, "p%d is told: epoch %d, serving %d", i, s.epoch, s.serving)
	}
	if s.fence != s.epoch && !x.c.NoRepair {
		t := *s
		t.beat(x.c, i)
		t.resume(x.c, i)
		x.step(t, "p%d beats: the fence is of epoch %d now", i, t.fence)
	}
	if w.epoch == s.epoch && s.serving == closing { // by time, or because the primary refuses
		t := *s
		t.change(local)
		t.resume(x.c, i)
		x.step(t, "p%d undoes closing: local, epoch %d", i, t.epoch)
	}
}

func (x *steps) writer(i int) {
	s, c := &x.s, x.c
	w := s.w[i]
	id := c.write(i, w.k)
	switch w.pc {
	case idle:
		if w.k < c.Writes[i] {
			t := *s
			t.before[id] = s.acked
			if w.serving == primary && s.serving != primary {
				t.late |= 1 << id
			}
			t.route(c, i)
			x.step(t, "p%d issues w%d, believing epoch %d, serving %d", i, id, w.epoch, w.serving)
		}
	case toPrimary:
		if s.refuses>>i&1 == 1 {
			t := *s
			t.w[i].pc = refused
			x.step(t, "p%d w%d is refused", i, id)
			return
		}
		t := *s
		if c.fails(id) {
			t.end(c, i, false)
			x.step(t, "p%d w%d fails on the primary", i, id)
			return
		}
		t.runOnPrimary(c, id)
		if c.Mirror && s.serving == primary {
			t.runOnLocal(c, id)
		}
		t.end(c, i, true)
		x.step(t, "p%d w%d runs on the primary, acknowledged", i, id)
		x.lost(i, id)
	case refused:
		x.trip(i)
	case toLocal:
		x.toLocal(i, id)
	case armed: // EXEC is nil when the fence was written since
		if w.torn == 0 {
			x.runOnLocal(i, id)
			return
		}
		t := *s
		t.beat(c, i)
		t.route(c, i)
		x.step(t, "p%d w%d EXEC nil, nothing ran: epoch %d, serving %d", i, id, s.epoch, s.serving)
	}
}

// lost is a write to the primary whose reply never comes.
func (x *steps) lost(i int, id uint8) {
	if x.s.losses == 0 {
		return
	}
	t := x.s
	t.losses--
	ran := t
	ran.runOnPrimary(x.c, id)
	if !x.c.Harmless {
		t.end(x.c, i, false)
		x.event(t, "p%d w%d is lost and did not run, an error to the caller", i, id)
		ran.end(x.c, i, false)
		x.event(ran, "p%d w%d runs on the primary, its reply is lost, an error to the caller", i, id)
		return
	}
	if t.ghost == absent {
		t.ghost = id
		t.w[i].pc = refused
		x.event(t, "p%d w%d is lost on its way to the primary", i, id)
	}
	ran.w[i].pc = refused
	x.event(ran, "p%d w%d runs on the primary, its reply is lost", i, id)
}

// trip is a compare-and-set on the epoch under which the refused write was issued. It answers with
// the record either way. Who has never read the record has no epoch, and reads it first.
func (x *steps) trip(i int) {
	s, c := &x.s, x.c
	w := s.w[i]
	if w.epoch == unknown && !c.BlindTrip {
		t := *s
		if t.learn(i); t.serving != primary {
			t.route(c, i)
		}
		x.step(t, "p%d reads the record for the first time: epoch %d, serving %d", i, s.epoch, s.serving)
		return
	}
	if !c.BlindTrip && (s.serving != primary || w.epoch != s.epoch) {
		t := *s
		t.learn(i)
		t.route(c, i)
		x.step(t, "p%d need not trip: epoch %d, serving %d", i, s.epoch, s.serving)
		return
	}
	t := *s
	t.change(local)
	t.first = t.entries
	t.whole, t.name = 0, 0
	t.learn(i)
	t.route(c, i)
	x.step(t, "p%d trips: local, epoch %d", i, t.epoch)
	if s.backs > 0 && c.ClockIDs {
		t.backs--
		t.lastID = 0
		x.event(t, "p%d trips: local, epoch %d, and the clock has gone back", i, t.epoch)
	}
}

// toLocal is the write's arrival on local: the script, or the WATCH and GET of the fence.
func (x *steps) toLocal(i int, id uint8) {
	s, c := &x.s, x.c
	multi := c.Multi>>i&1 == 1
	t := *s
	if multi && !c.NoFenceWatch {
		if s.fence == s.epoch && s.serving == local {
			t.learn(i)
			t.w[i].pc, t.w[i].routed = armed, s.epoch
		} else {
			t.beat(c, i)
			t.route(c, i)
		}
		x.step(t, "p%d w%d watches the fence: epoch %d, serving %d", i, id, s.epoch, s.serving)
		return
	}
	open := s.fence != absent && (s.fenced == local || c.NoShutFence && s.fenced == closing)
	if open && (c.NoEpoch || s.w[i].routed == s.fence) {
		x.runOnLocal(i, id)
		return
	}
	if multi { // only the XADD did nothing
		t.runOnLocal(c, id)
	}
	t.beat(c, i)
	t.route(c, i)
	x.step(t, "p%d w%d is fenced: epoch %d, serving %d", i, id, s.epoch, s.serving)
}

func (x *steps) runOnLocal(i int, id uint8) {
	t := x.s
	t.runOnLocal(x.c, id)
	t.append(x.c, id)
	unheard := t
	if x.c.Teach {
		t.learn(i)
	}
	t.end(x.c, i, true)
	x.step(t, "p%d w%d runs on local with its entry %d, acknowledged", i, id, t.lastID)
	if x.s.losses > 0 {
		unheard.losses--
		unheard.end(x.c, i, false)
		x.event(unheard, "p%d w%d runs on local with its entry, its reply is lost", i, id)
	}
}
