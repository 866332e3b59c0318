package main

// Config bounds a run. Its zero rules are the protocol; each No… or other mutation takes one rule away,
// and the search must then find what the rule is there for.
type Config struct {
	Name string

	Writes                                                   [processes]uint8 // of each process
	Shuts, Refusals, Losses, Evictions, Deaths, Backs, Falls uint8            // how often at most
	Batch                                                    int              // most entries of one batch
	Multi                                                    uint8            // bit i: process i writes by WATCH and MULTI, not by a script
	Fresh                                                    uint8            // bit i: process i has never read the record
	Fails                                                    uint8            // bit w: the primary does not take write w, as local does
	Harmless                                                 bool             // writes are harmless twice: a lost one trips and is replayed
	Names                                                    bool             // the journal keeps names: of a key that is whole its state is copied
	Maker                                                    uint8            // with names, the write that makes the key whole
	Mirror                                                   bool             // a direct write that was acknowledged is on local at once
	Positioned                                               bool             // the position is there from the start

	NoEpoch      bool // a write does not carry the epoch under which it was routed
	Teach        bool // instead of it: the reply of a write on local brings the epoch
	NoFenceWatch bool // MULTI with XADD NOMKSTREAM in place of a watched fence
	LooseClaim   bool // no position is nothing special: what is in doubt is buried, the rest goes on from the floor
	LooseSettle  bool // settling sets the floor and clears every doubt
	ClockIDs     bool // a new stream's ids come from the clock alone
	LateGhost    bool // a lost command may run after the drain has begun
	EarlyCopy    bool // names are copied without a barrier
	LateMark     bool // what names stand for is read before they are marked
	LooseNames   bool // a name stands for what is written after its mark as well
	NoWatch      bool // EXEC of a batch does not look whether the position was written
	NoFinishCAS  bool // the return does not compare the epoch
	NoShutFence  bool // local takes writes while closing
	PositionLast bool // the position is set after the batch, outside of its EXEC
	SentAhead    bool // EXEC is sent with its batch, and a MULTI that is refused alone lets the batch run
	BlindTrip    bool // a trip does not compare the epoch
	NoRepair     bool // a fence that is gone stays so until the record changes
	BlindRepair  bool // it is put up from the copy that a process has of the record
	NoConfirm    bool // what was delivered by one that did not settle it is taken to have run
	LooseConfirm bool // what has failed is settled whatever the record is by then

	Accept []string // violations that are known and accepted
	Finds  string   // of a mutation: the violation that must be found
}

// laggard is the one window in which order can differ between processes.
const laggard = "S4 order, by one that has not heard of the trip"

// write is the number of a process's k-th write.
func (c *Config) write(i int, k uint8) uint8 {
	if i == 0 {
		return k
	}
	return c.Writes[0] + k
}

func (c *Config) fails(w uint8) bool { return c.Fails>>w&1 == 1 }

// makes reports the write that makes the key whole, whatever it was before.
func (c *Config) makes(w uint8) bool { return c.Names && w == c.Maker }

func (c *Config) owner(w uint8) int {
	if w < c.Writes[0] {
		return 0
	}
	return 1
}

// protocol returns the runs of the protocol as it is.
func protocol() []Config {
	base := Config{Writes: [processes]uint8{2, 1}, Shuts: 1, Refusals: 1, Batch: 2, Positioned: true, Accept: []string{laggard}}
	with := func(name string, change func(*Config)) Config {
		c := base
		c.Name = name
		change(&c)
		return c
	}
	return []Config{
		with("a2 scripts", func(*Config) {}),
		with("a3 the epoch comes with replies instead", func(c *Config) { c.NoEpoch, c.Teach = true, true }),
		with("b2 one process by MULTI", func(c *Config) { c.Multi = 1 }),
		with("c2 no position at first", func(c *Config) { c.Positioned = false }),
		with("d2 one process has never read the record", func(c *Config) { c.Fresh = 2 }),
		// What is in doubt when a position goes may have been delivered: it is a dead letter, and may be both.
		with("e2 the position is evicted", func(c *Config) {
			c.Writes, c.Evictions = [processes]uint8{1, 1}, 1
			c.Accept = []string{laggard, "DL delivered and a dead letter", "S1d acknowledged, and only a dead letter"}
		}),
		with("f1 a lost write and a death", func(c *Config) {
			c.Positioned, c.Multi, c.Losses, c.Deaths = false, 1, 1, 1
		}),
		with("f4 two refusals, two shuts", func(c *Config) {
			c.Positioned, c.Multi, c.Writes, c.Refusals, c.Shuts = false, 1, [processes]uint8{1, 1}, 2, 2
		}),
		with("g2 a lost write is replayed", func(c *Config) { c.Losses, c.Harmless, c.Refusals = 1, true, 0 }),
		with("h2 the fence is evicted", func(c *Config) {
			c.Falls, c.Multi, c.Writes = 1, 1, [processes]uint8{1, 1}
		}),
		with("i2 the primary does not take some writes", func(c *Config) { c.Fails, c.Accept = 0b101, nil }),
		with("k2 the clock goes back", func(c *Config) {
			c.Writes, c.Backs, c.Refusals, c.Shuts = [processes]uint8{2, 0}, 1, 2, 2
			c.Accept = nil
		}),
		with("n2 names, and final states copied", func(c *Config) { c.Names, c.Mirror = true, true }),
		with("n3 the key is made whole by the other process", func(c *Config) { c.Names, c.Mirror, c.Maker = true, true, 2 }),
		with("n4 names, and the position is evicted", func(c *Config) {
			c.Names, c.Mirror, c.Evictions, c.Writes = true, true, 1, [processes]uint8{1, 1}
			c.Accept = []string{laggard, "DL delivered and a dead letter", "S1d acknowledged, and only a dead letter"}
		}),
	}
}

// mutations returns runs with a rule less, each with what must be found.
func mutations() []Config {
	base := Config{Writes: [processes]uint8{2, 1}, Shuts: 1, Refusals: 1, Batch: 2, Positioned: true}
	with := func(name, finds string, change func(*Config)) Config {
		c := base
		c.Name, c.Finds = name, finds
		change(&c)
		return c
	}
	return []Config{
		with("a1 the fence without an epoch", "S3", func(c *Config) { c.NoEpoch = true }),
		with("b1 MULTI without a watched fence", "S6a", func(c *Config) { c.NoEpoch, c.Multi, c.NoFenceWatch = true, 1, true }),
		with("c1 no position taken for doubt", "S1d", func(c *Config) { c.Positioned, c.LooseClaim, c.LooseSettle = false, true, true }),
		with("d1 a trip that compares nothing, by one that has never read the record", "S1", func(c *Config) { c.Fresh, c.BlindTrip = 2, true }),
		with("e1 one clears the doubt of another", "S2", func(c *Config) {
			c.Writes, c.Evictions, c.LooseClaim, c.LooseSettle = [processes]uint8{1, 1}, 1, true, true
		}),
		with("g1 a lost write runs after the drain began", "S3", func(c *Config) { c.Losses, c.Harmless, c.Refusals, c.LateGhost = 1, true, 0, true }),
		with("h1 a fence that nobody puts up again", "S5c", func(c *Config) { c.Falls, c.NoRepair = 1, true }),
		with("h3 a fence from a copy of the record", "S1", func(c *Config) {
			c.Falls, c.BlindRepair, c.Writes = 1, true, [processes]uint8{1, 1}
		}),
		with("i1 nobody finds out what failed", "S1", func(c *Config) { c.Fails, c.NoConfirm = 0b101, true }),
		with("i3 what failed is settled under another record", "S1", func(c *Config) { c.Fails, c.LooseConfirm = 0b101, true }),
		with("k1 ids by the clock alone", "S1", func(c *Config) {
			c.Writes, c.Backs, c.Refusals, c.Shuts, c.ClockIDs = [processes]uint8{2, 0}, 1, 2, 2, true
		}),
		with("n1 names copied beside direct writes", "S1", func(c *Config) { c.Names, c.Mirror, c.EarlyCopy = true, true, true }),
		with("n5 a name stands for what comes after its mark", "S1", func(c *Config) { c.Names, c.Mirror, c.LooseNames = true, true, true }),
		with("n6 a state is read ahead of its mark", "S1", func(c *Config) { c.Names, c.Mirror, c.LateMark = true, true, true }),
		with("m1 no WATCH", "S2", func(c *Config) { c.NoWatch = true }),
		with("m2 a return that compares nothing", "S3", func(c *Config) { c.Shuts, c.NoFinishCAS = 2, true }),
		// With the epoch compared, the shut is seen by it: either of the two would do.
		with("m3 no fence while closing, nor an epoch", "S3", func(c *Config) { c.NoEpoch, c.NoShutFence = true, true }),
		with("m4 the position after the batch", "S2", func(c *Config) { c.PositionLast = true }),
		with("m5 EXEC sent ahead, MULTI refused alone", "S2", func(c *Config) { c.SentAhead, c.Refusals = true, 2 }),
	}
}
