package main

// quiet reports that everything has come to its end: what is owed must be there now.
func (s *State) quiet(c *Config) bool {
	if s.refuses != 0 || s.serving == closing || s.ghost != absent || !s.drained() {
		return false
	}
	for i := range processes {
		if s.d[i].pc != away || s.w[i].pc != dead && (s.w[i].pc != idle || s.w[i].k < c.Writes[i]) {
			return false
		}
	}
	return true
}

// violations names every property that a state breaks.
func (s *State) violations(c *Config, quiet bool, out func(string)) {
	place := [maxWrites]int{} // of a write on the primary, the last if it ran twice; 0: nowhere
	var there, here uint8
	for i, w := range s.onPr[:s.np] {
		if there>>w&1 == 1 && !c.Harmless {
			out("S2 twice on the primary")
		}
		there |= 1 << w
		place[w] = i + 1
	}
	for _, w := range s.onLocal[:s.nl] {
		if here>>w&1 == 1 && !c.Harmless {
			out("S6a twice on local")
		}
		here |= 1 << w
	}
	if s.letters&there != 0 {
		out("DL delivered and a dead letter")
	}
	if !quiet {
		return
	}
	if s.acked&^there&^s.letters&^s.overwritten != 0 {
		out("S1 acknowledged, and lost")
	}
	if s.acked&s.letters&^c.Fails != 0 { // what the primary does not take belongs there
		out("S1d acknowledged, and only a dead letter")
	}
	if here&^there&^s.letters&^s.overwritten != 0 {
		out("S6b on local, and in no journal and on no primary")
	}
	s.order(c, place, out)
	if !c.Harmless {
		s.ground(place, out)
	}
}

// order: a write that was acknowledged before another was issued stands before it.
func (s *State) order(c *Config, place [maxWrites]int, out func(string)) {
	writes := c.Writes[0] + c.Writes[1]
	for b := range writes {
		if s.acked>>b&1 == 0 || place[b] == 0 {
			continue
		}
		for a := range writes {
			if s.before[b]>>a&1 == 0 || place[a] <= place[b] {
				continue
			}
			switch {
			case c.owner(a) == c.owner(b):
				out("S3 a process's own writes in another order")
			case s.late>>b&1 == 1:
				out(laggard)
			default:
				out("S4x order between processes that had heard")
			}
		}
	}
}

// ground: the reply of a write on local rests on what the primary has before it as well.
func (s *State) ground(place [maxWrites]int, out func(string)) {
	for _, a := range s.entry[:s.entries] {
		if s.acked>>a&1 == 0 || place[a] == 0 {
			continue
		}
		for _, w := range s.onLocal[:s.nl] {
			if w == a {
				break
			}
			if (place[w] == 0 || place[w] > place[a]) && (s.letters|s.overwritten)>>w&1 == 0 {
				out("S6c a reply rests on what no journal has")
			}
		}
	}
}
