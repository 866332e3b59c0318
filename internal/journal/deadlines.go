package journal

import (
	"context"
	"strconv"
	"strings"
)

// Deadlines and a drain that is behind.
//
// A key's deadline may have passed by now, or pass before the drain ends, and yet have been prolonged by a
// write that has not been delivered: nothing is known of what was written after the last entry of a
// batch. So a deadline has passed for good only if the entries reach that far. Any other one gives the
// key some time more than it has, which the drain remembers, and makes good once the entries do.

const (
	// mostDeadlines bounds how many deadlines a drain remembers.
	mostDeadlines = 100_000
	// pastDeadline is how long ago, in milliseconds, a deadline does not matter any more.
	pastDeadline = 60_000
	// leastGrace and mostGrace are what a key has left at least, in milliseconds, that may be prolonged
	// yet: at the end of the journal, and far from it. partGrace is that of a drain that will not reach
	// the end: who knows when the next one comes.
	leastGrace = 1000
	mostGrace  = 600_000
	partGrace  = 24 * 3600 * 1000
)

// grace is the least that a key has left when the entries reach up to horizon.
func (f *folder) grace(horizon int64, end bool) int64 {
	switch {
	case f.part:
		return partGrace
	case end:
		return leastGrace
	}
	return min(10*leastGrace+max(f.now-horizon, 0)/10, mostGrace)
}

// deadlines are those that keys were delivered with, by local's clock. The primary lets a key expire later
// than local, at least by the time that the delivery took: a write that made the key anew on local must
// not meet the old one there, and expire with it. Local keeps them from one drain to the next, as long as
// it serves.
type deadlines struct {
	known map[place]int64
	loose map[place]slack // keys that were given more time
	most  int             // when to look for those that do not matter any more
}

// slack says whether a key was given more time than it has.
type slack string

const (
	tight slack = ""
	brief slack = "~"  // leastGrace
	ample slack = "~~" // more
)

// load reads what the drains before have left on local.
func (d *deadlines) load(ctx context.Context, s *Store) error {
	*d = deadlines{known: make(map[place]int64), loose: make(map[place]slack)}
	for cursor := uint64(0); ; {
		page, next, err := s.rdb.HScan(ctx, s.deadlines(), cursor, "", 1000).Result()
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(page); i += 2 {
			db, key, _ := strings.Cut(page[i], "|")
			text := strings.TrimRight(page[i+1], string(brief))
			ms, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				continue
			}
			at := place{db, key}
			d.known[at] = ms
			if loose := slack(page[i+1][len(text):]); loose != tight {
				d.loose[at] = loose
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// learn takes over what a batch has left, and returns what local has to keep of it: for each key its
// deadline, "" if none.
func (d *deadlines) learn(f *folder) (changes []any) {
	set := func(at place, ms int64, loose slack) {
		if ms == d.known[at] && loose == d.loose[at] {
			return
		}
		delete(d.known, at)
		delete(d.loose, at)
		text := ""
		if ms > 0 {
			d.known[at] = ms
			text = strconv.FormatInt(ms, 10) + string(loose)
			if loose != tight {
				d.loose[at] = loose
			}
		}
		changes = append(changes, at.db+"|"+at.key, text)
	}
	if f.walled { // something ran that may have changed them all
		for at := range d.known {
			if f.chains[at] == nil {
				set(at, 0, tight)
			}
		}
	}
	for at, loose := range f.tightened {
		if ms := d.known[at]; ms > f.now-pastDeadline {
			set(at, ms, loose)
		} else {
			set(at, 0, tight)
		}
	}
	for at, c := range f.chains {
		set(at, c.deadline, c.loose)
	}
	if len(d.known) > d.most {
		for at, ms := range d.known {
			if ms < f.now-pastDeadline && d.loose[at] == tight || len(d.known) > 2*mostDeadlines {
				set(at, 0, tight)
			}
		}
		d.most = len(d.known) + mostDeadlines/10
	}
	return changes
}

// tighten gives the keys that were given more time the time that they have, or takes them away.
func (f *folder) tighten(horizon int64) {
	unlink := map[string]int{} // where the command of a database is
	from := source{id: f.last}
	mend := func(at place, ms int64, loose slack) slack {
		switch {
		case loose == tight:
			return tight
		case ms < horizon:
			i, ok := unlink[at.db]
			if !ok || len(f.out[i].args) > maxArguments {
				i = len(f.out)
				unlink[at.db] = i
				f.out = append(f.out, command{db: at.db, args: []string{"unlink"}, from: from})
			}
			f.out[i].args = append(f.out[i].args, at.key)
			return tight
		case !f.end || f.part || loose == brief && (f.shut || ms <= f.now+leastGrace):
			// Of a journal that is shut only what nobody saw the replies of is more than brief: writers wait.
			return loose
		case len(f.out) >= f.bounds.Commands:
			f.crowded = true
			return loose
		}
		c := command{db: at.db, args: []string{"pexpire", at.key}, due: ms, from: from}
		if loose = tight; ms <= f.now+leastGrace {
			// It may be prolonged by a write that is under way.
			c.args, c.due, loose = append(c.args, strconv.Itoa(leastGrace)), 0, brief
		}
		f.out = append(f.out, c)
		return loose
	}
	for at, c := range f.chains {
		c.loose = mend(at, c.deadline, c.loose)
	}
	f.tightened = make(map[place]slack)
	for at, loose := range f.before.loose {
		if f.chains[at] == nil {
			if now := mend(at, f.before.known[at], loose); now != loose {
				f.tightened[at] = now
			}
		}
	}
}
