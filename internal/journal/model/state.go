package main

import "slices"

// serving, as in the record on local.
const (
	primary uint8 = iota
	local
	closing
)

const (
	processes = 2    // each has one writer and one drainer
	maxWrites = 6    // of both together
	maxList   = 10   // of the key: more only after a write ran twice, and that is found before
	absent    = 0xFF // no position, no ghost, no copy
	unknown   = 0xFF // epoch of a process that has never read the record
)

// Where a writer is.
const (
	idle      uint8 = iota // between two writes
	toPrimary              // the command is on its way to the primary
	refused                // a refusal is in hand, or a lost write that is harmless twice: the trip is next
	toLocal                // the command is on its way to local
	waiting                // fenced while closing
	dead
	armed // the fence is watched and was open, EXEC is on its way
)

// Where a drainer is. It may stay there for ever, or die.
const (
	away   uint8 = iota
	get          // WATCH position has run
	read         // GET has run, the value is in at
	queue        // the batch is read and marked, MULTI and its commands are on their way
	exec         // all commands were QUEUED, EXEC is on its way
	shut         // wants to shut: a compare-and-set on the epoch that it read
	finish       // saw closing and nothing left: a compare-and-set to primary
	settle       // EXEC was OK: settles on local
	ask          // somebody has delivered and not settled: will read what that was, and ask what failed
	told         // knows what failed: settles it on local
	begin        // no position and nothing in doubt: EXEC of SET position alone
	claim        // no position and a batch in doubt: EXEC of SET position {end of the doubt, skipped}
	burial       // the position says skipped: what is in doubt goes to the dead letters
)

// writer is a process: what it believes of the record, and its write in hand.
type writer struct {
	pc, k          uint8 // k: writes begun so far
	serving, epoch uint8 // its copy of the record
	routed         uint8 // the epoch that the write in hand carries
	torn           uint8 // armed: the fence was written since
}

// drainer is the one of a process.
type drainer struct {
	pc       uint8
	at       uint8 // the position read, then the one to be set
	from, to uint8 // entries of the batch; for begin and claim, positions
	epoch    uint8
	failed   uint8 // bit w: write w is known to have failed in the batch
	dirty    uint8 // the watched position was written since
	copied   uint8 // length of local's list that a copy holds
}

// State is one state of the whole system. It is comparable, and so it is its own key.
type State struct {
	serving, epoch, shuts uint8 // the record on local; shuts of the budget that are used
	fence, fenced         uint8 // epoch and serving of the fence beside it; epoch absent: it is gone

	entries, first, lastID uint8            // journal: entries ever, the first of the stream that exists now, last id given
	entry, id              [maxWrites]uint8 // the write and the stream id of each entry
	names                  uint8            // bit i: entry i is only the key's name
	whole, name            uint8            // local holds the key whole; the id of the last entry that is its name

	floor, doubt uint8 // delivered up to; in doubt up to
	letters      uint8 // writes in the dead letters

	nl, np        uint8          // the key on local and on the primary: the writes that ran on it, in order
	onLocal, onPr [maxList]uint8 //
	position      uint8          // on the primary
	skipped       uint8          // its flag

	refuses                        uint8 // bit i: the primary refuses process i
	refusals, losses, evicts, ends uint8 // budgets: refusals that begin, lost writes, positions that go, deaths
	backs, falls                   uint8 // budgets: the clock goes back, the fence goes
	ghost                          uint8 // a lost command that is still on its way to the primary
	overwritten                    uint8 // writes that the one which makes the key whole has replaced, somewhere

	acked, late uint8            // writes acknowledged; issued by a process that believed primary while local served
	before      [maxWrites]uint8 // the writes that were acknowledged when this one was issued

	w [processes]writer
	d [processes]drainer
}

func initial(c *Config) State {
	s := State{
		position: absent, ghost: absent,
		refusals: c.Refusals, losses: c.Losses, evicts: c.Evictions, ends: c.Deaths, backs: c.Backs, falls: c.Falls,
	}
	if c.Positioned {
		s.position = 0
	}
	for i := range s.w {
		if c.Fresh>>i&1 == 1 {
			s.w[i].epoch = unknown
		}
	}
	return s
}

// learn gives process i a copy of the record.
func (s *State) learn(i int) { s.w[i].serving, s.w[i].epoch = s.serving, s.epoch }

// change is a change of the record, with its fence.
func (s *State) change(serving uint8) {
	s.serving, s.epoch = serving, s.epoch+1
	s.raise(s.epoch, s.serving)
}

// raise writes the fence: whoever watches it is told at EXEC.
func (s *State) raise(epoch, serving uint8) {
	s.fence, s.fenced = epoch, serving
	for i := range s.w {
		if s.w[i].pc == armed {
			s.w[i].torn = 1
		}
	}
}

// beat is what process i sends at each beat, and when it was fenced: it reads the record, and puts up a
// fence that does not go with it.
func (s *State) beat(c *Config, i int) {
	switch {
	case c.NoRepair || s.fence == s.epoch:
	case !c.BlindRepair:
		s.raise(s.epoch, s.serving)
	case s.fence == absent && s.w[i].epoch != unknown:
		s.raise(s.w[i].epoch, s.w[i].serving)
	}
	s.learn(i)
}

// resume is learn, and sends a write that waits where the record says.
func (s *State) resume(c *Config, i int) {
	s.learn(i)
	if s.w[i].pc == waiting {
		s.route(c, i)
	}
}

// route sends the write in hand where the process's copy of the record says.
func (s *State) route(c *Config, i int) {
	w := &s.w[i]
	w.routed, w.torn = 0, 0
	if !c.NoEpoch && w.serving == local {
		w.routed = w.epoch
	}
	switch w.serving {
	case primary:
		w.pc = toPrimary
	case local:
		w.pc = toLocal
	default:
		w.pc = waiting
	}
}

// end is the end of the write in hand, acknowledged or with an error to the caller.
func (s *State) end(c *Config, i int, ack bool) {
	b := c.write(i, s.w[i].k)
	if ack {
		s.acked |= 1 << b
	} else {
		s.before[b] = 0
		s.late &^= 1 << b
	}
	s.w[i].pc, s.w[i].k, s.w[i].routed, s.w[i].torn = idle, s.w[i].k+1, 0, 0
}

// made runs the write that makes the key whole on a list: nothing of before is left.
func (s *State) made(list *[maxList]uint8, n *uint8) {
	for _, w := range list[:*n] {
		s.overwritten |= 1 << w
	}
	*list, *n = [maxList]uint8{}, 0
}

func (s *State) runOnPrimary(c *Config, w uint8) {
	if c.makes(w) {
		s.made(&s.onPr, &s.np)
	}
	if s.np < maxList {
		s.onPr[s.np] = w
		s.np++
	}
}

func (s *State) runOnLocal(c *Config, w uint8) {
	if c.makes(w) {
		s.made(&s.onLocal, &s.nl)
	}
	if s.nl < maxList {
		s.onLocal[s.nl] = w
		s.nl++
	}
}

// append writes the entry down, or the key's name where local holds it whole: unless that stands there
// and nobody has begun to deliver it.
func (s *State) append(c *Config, w uint8) {
	if c.makes(w) {
		s.whole = 1
	}
	if s.whole == 1 && s.name > s.floor && (s.name > s.doubt || c.LooseNames) {
		return
	}
	s.lastID++
	s.entry[s.entries], s.id[s.entries] = w, s.lastID
	if s.whole == 1 {
		s.names |= 1 << s.entries
		s.name = s.lastID
	}
	s.entries++
}

// copy gives the key on the primary the state that it had on local. It replaces what the write does that
// made it whole, the first time.
func (s *State) copy(c *Config, copied uint8) {
	list := s.onLocal[:copied]
	if !slices.ContainsFunc(s.onPr[:s.np], c.makes) {
		s.made(&s.onPr, &s.np)
	}
	s.onPr, s.np = [maxList]uint8{}, 0
	s.np = uint8(copy(s.onPr[:], list))
}

// mayCopy is the rule for copying a key's state: every living process knows that local serves and has no
// direct write in flight.
func (s *State) mayCopy() bool {
	for i := range s.w {
		if s.w[i].pc == toPrimary || s.w[i].pc != dead && s.w[i].serving == primary {
			return false
		}
	}
	return true
}

// drained reports that the present stream has nothing after the position, and that all of it is settled.
func (s *State) drained() bool {
	if !s.settled() {
		return false
	}
	return s.position == absent || s.position >= s.last() && s.skipped == 0
}

// last is the id of the last entry of the present stream, 0 if there is none.
func (s *State) last() uint8 {
	if s.entries == s.first {
		return 0
	}
	return s.id[s.entries-1]
}

// settled reports that local knows that everything is delivered.
func (s *State) settled() bool { return s.floor >= s.last() }

// touch is a write of the position: whoever else watches it is told at EXEC.
func (s *State) touch(me int) {
	for j := range s.d {
		if j != me && s.d[j].pc != away {
			s.d[j].dirty = 1
		}
	}
}

// bury moves what is in doubt up to an id to the dead letters.
func (s *State) bury(upTo uint8) {
	again := false
	for b := s.first; b < s.entries; b++ {
		switch {
		case s.id[b] <= s.floor || s.id[b] > upTo:
		case s.names>>b&1 == 1: // it may be delivered as often as one likes
			again = true
		default:
			s.letters |= 1 << s.entry[b]
		}
	}
	if again {
		s.lastID++
		s.entry[s.entries], s.id[s.entries], s.name = s.entry[s.entries-1], s.lastID, s.lastID
		s.names |= 1 << s.entries
		s.entries++
	}
	if s.floor = max(s.floor, upTo); s.doubt <= s.floor { // another drain may have begun more since
		s.doubt = 0
	}
}
