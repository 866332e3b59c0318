package main

func (x *steps) drainer(i int) {
	s, c := &x.s, x.c
	d := s.d[i]
	refused := s.refuses>>i&1 == 1
	if d.pc != away { // it, or its connection, may end anywhere: after a refusal there is no other way on
		x.stops(i, "ends here")
	}
	switch d.pc {
	case away:
		if s.w[i].serving != primary && !refused && (c.LateGhost || s.ghost == absent) {
			t := *s
			t.d[i] = drainer{pc: get}
			x.step(t, "d%d WATCH position", i)
		}
	case get:
		if !refused {
			t := *s
			t.d[i].pc, t.d[i].at = read, s.position
			if s.skipped != 0 {
				t.d[i].pc = burial
			}
			x.step(t, "d%d GET position: %d", i, s.position)
		}
	case read:
		x.take(i)
	case queue:
		x.queue(i, refused)
	case exec:
		if !refused {
			x.exec(i)
		}
	case settle:
		x.settle(i, refused)
	case ask:
		if !refused {
			x.ask(i)
		}
	case told:
		x.told(i)
	case begin, claim:
		if !refused {
			x.position(i)
		}
	case burial:
		t := *s
		t.bury(d.at)
		t.d[i].pc = begin // which takes the flag away
		x.step(t, "d%d buries what is in doubt up to %d", i, d.at)
	case shut:
		t := *s
		if s.serving == local && s.epoch == d.epoch && s.shuts < c.Shuts {
			t.change(closing)
			t.shuts++
		}
		t.resume(c, i)
		t.d[i] = drainer{}
		x.step(t, "d%d shuts, comparing with %d: epoch %d, serving %d", i, d.epoch, t.epoch, t.serving)
	case finish:
		t := *s
		if s.serving == closing && s.epoch == d.epoch && s.settled() || c.NoFinishCAS && s.serving != primary {
			t.change(primary)
		}
		t.resume(c, i)
		t.d[i] = drainer{}
		x.step(t, "d%d returns, comparing with %d: epoch %d, serving %d", i, d.epoch, t.epoch, t.serving)
	}
}

func (x *steps) stops(i int, why string) {
	t := x.s
	t.d[i] = drainer{}
	x.step(t, "d%d %s", i, why)
}

// take is the script that reads the record and the entries after the position, and marks them.
func (x *steps) take(i int) {
	c := x.c
	t := x.s
	t.resume(c, i)
	if t.serving == primary {
		t.d[i] = drainer{}
		x.step(t, "d%d sees that the primary serves", i)
		return
	}
	from := t.d[i].at
	if from == absent {
		switch {
		case c.LooseClaim:
			if t.doubt > t.floor {
				t.bury(t.doubt)
			}
			from = t.floor
		case t.doubt > t.floor:
			t.d[i].pc, t.d[i].to = claim, t.doubt
			x.step(t, "d%d no position, in doubt up to %d: will claim", i, t.doubt)
			return
		default:
			t.d[i].pc, t.d[i].from = begin, t.floor
			x.step(t, "d%d no position, nothing in doubt: will set it", i)
			return
		}
	}
	if from > t.floor && !c.NoConfirm {
		t.d[i].pc, t.d[i].from, t.d[i].epoch = ask, t.floor, t.epoch
		x.step(t, "d%d position %d, floor %d: will find out what failed", i, from, t.floor)
		return
	}
	next := t.first
	for next < t.entries && t.id[next] <= from {
		next++
	}
	x.batches(i, t, next)
	if t.serving == local && t.shuts < c.Shuts {
		u := t
		u.d[i].pc, u.d[i].epoch = shut, t.epoch
		x.step(u, "d%d decides to shut at epoch %d", i, t.epoch)
	}
	if t.serving == closing && next == t.entries {
		u := t
		u.d[i].pc, u.d[i].epoch = finish, t.epoch
		x.step(u, "d%d sees nothing left in closing, epoch %d", i, t.epoch)
	}
}

// batches is each batch that may be taken: a bound, or a bisection, may end it anywhere.
func (x *steps) batches(i int, t State, next uint8) {
	for n := range min(uint8(x.c.Batch), t.entries-next) {
		u := t
		to := next + n + 1
		u.d[i].copied = 0
		if t.names>>next&(1<<(n+1)-1) != 0 {
			if !x.c.EarlyCopy && !t.mayCopy() {
				return
			}
			u.d[i].copied = t.nl
		}
		last := t.id[to-1]
		u.d[i].pc, u.d[i].from, u.d[i].to, u.d[i].at = queue, next, to, last
		switch {
		case x.c.LateMark:
		case x.c.LooseSettle:
			u.doubt = last
		default:
			u.doubt = max(t.doubt, last)
		}
		x.step(u, "d%d takes entries %d to %d and marks them", i, t.id[next], last)
	}
}

// queue is MULTI and the batch, up to the last QUEUED. EXEC has not been sent: a refusal here, of MULTI
// or of any command, is certain to have run nothing.
func (x *steps) queue(i int, refused bool) {
	s, c := &x.s, x.c
	if !refused {
		t := *s
		t.d[i].pc = exec
		if c.LateMark {
			t.doubt = max(t.doubt, s.d[i].at)
		}
		x.step(t, "d%d all is QUEUED", i)
		if late := s.nl; !c.LateMark && t.d[i].copied > 0 && t.d[i].copied != late { // its state was read later
			t.d[i].copied = late
			x.step(t, "d%d all is QUEUED, with the state that the key has now", i)
		}
	}
	if c.SentAhead && s.refusals > 0 {
		t := *s
		t.refusals--
		x.deliver(i, &t)
		t.position = s.d[i].at
		t.touch(i)
		t.d[i] = drainer{}
		x.event(t, "d%d MULTI alone is refused: the batch up to %d runs command by command", i, s.d[i].at)
	}
}

func (x *steps) exec(i int) {
	s, c := &x.s, x.c
	d := s.d[i]
	if d.dirty != 0 && !c.NoWatch {
		t := *s
		if c.LooseSettle {
			t.doubt = 0
		}
		t.d[i] = drainer{}
		x.step(t, "d%d EXEC nil", i)
		return
	}
	t := *s
	t.d[i].failed = x.deliver(i, &t)
	if !c.PositionLast {
		t.position = d.at
		t.touch(i)
	}
	unheard := t
	unheard.d[i] = drainer{}
	x.step(unheard, "d%d EXEC applies entries up to %d, its reply is lost", i, d.at)
	t.d[i].pc, t.d[i].dirty = settle, 0
	x.step(t, "d%d EXEC applies entries up to %d", i, d.at)
}

// deliver runs the batch on the primary, and returns what fails of it.
func (x *steps) deliver(i int, t *State) (failed uint8) {
	d := x.s.d[i]
	for b := d.from; b < d.to; b++ {
		if x.c.fails(t.entry[b]) {
			failed |= 1 << t.entry[b]
			continue
		}
		if t.names>>b&1 == 1 {
			t.copy(x.c, d.copied)
		} else {
			t.runOnPrimary(x.c, t.entry[b])
		}
	}
	return failed
}

// ask reads what somebody has delivered and not settled, and asks the primary what of it has failed: that
// can be told from what is there. Where the record has changed since, so have the names of the streams, and
// the reader may have found nothing.
func (x *steps) ask(i int) {
	s := &x.s
	d := s.d[i]
	t := *s
	t.d[i].pc = told
	for b := t.first; b < t.entries; b++ {
		if w := t.entry[b]; t.id[b] > d.from && t.id[b] <= d.at && x.c.fails(w) {
			t.d[i].failed |= 1 << w
		}
	}
	if s.epoch != d.epoch && t.d[i].failed != 0 {
		u := t
		u.d[i].failed = 0
		x.step(u, "d%d misses the entries up to %d, whose stream was renamed", i, d.at)
	}
	x.step(t, "d%d finds out what failed up to %d: %03b", i, d.at, t.d[i].failed)
}

// told settles it, if neither the record nor the floor has changed since. The position is still watched.
func (x *steps) told(i int) {
	s := &x.s
	d := s.d[i]
	if s.epoch != d.epoch && !x.c.LooseConfirm || s.floor != d.from {
		x.stops(i, "begins again: the record has changed")
		return
	}
	t := *s
	t.letters |= d.failed
	if t.floor = max(t.floor, d.at); t.doubt <= t.floor {
		t.doubt = 0
	}
	t.d[i] = drainer{pc: read, at: d.at, dirty: d.dirty}
	x.step(t, "d%d settles what another has delivered: floor %d", i, t.floor)
}

func (x *steps) settle(i int, refused bool) {
	t := x.s
	at := t.d[i].at
	t.letters |= t.d[i].failed
	if x.c.PositionLast && !refused {
		t.position = at
		t.touch(i)
	}
	if x.c.LooseSettle {
		t.floor, t.doubt = at, 0
	} else if t.floor = max(t.floor, at); t.doubt <= t.floor {
		t.doubt = 0
	}
	t.d[i] = drainer{}
	x.step(t, "d%d settles: floor %d", i, t.floor)
}

// position is the EXEC of SET position alone.
func (x *steps) position(i int) {
	s := &x.s
	d := s.d[i]
	if d.dirty != 0 {
		x.stops(i, "EXEC nil")
		return
	}
	t := *s
	t.skipped = 0
	switch {
	case d.pc == claim:
		t.position, t.skipped = d.to, 1
	case d.at == absent:
		t.position = d.from
	}
	t.touch(i)
	t.d[i] = drainer{}
	x.step(t, "d%d EXEC: SET position %d, skipped %d", i, t.position, t.skipped)
}
