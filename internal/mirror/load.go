package mirror

import (
	"context"
	"fmt"
	"time"
)

// Item is a key as it was read from the primary.
type Item struct {
	DB, Key      string
	Dump         string        // as DUMP gave it; "" where Commands make the key
	Commands     [][]string    // which make it where there was nothing
	TTL          time.Duration // as it was read; 0 is none
	Began, Ended time.Time     // of the reading, with their monotonic part
	Absent       bool          // the primary has no such key
}

// Loaded says what became of an Item.
type Loaded byte

// What may become of one.
const (
	// Taken is on local now.
	Taken Loaded = iota
	// Newer is known of the key, or it was written while it was read: read it again.
	Newer
	// Refused is what local could not make of it: another format, no room.
	Refused
	// Fenced is that the primary does not serve, or did not all the time since the key was read.
	Fenced
)

// Load puts keys on local as they were read, in one step for all of them. It never takes away what a
// newer operation made. After an error some may have been loaded, or may be soon; to load them again
// hurts nobody. It is safe for concurrent use.
func (m *Mirror) Load(ctx context.Context, items []Item) ([]Loaded, error) {
	results := make([]Loaded, 0, len(items))
	for len(items) > 0 {
		n, bytes := 0, 0
		for n < len(items) && n < batchOps && (n == 0 || bytes < batchBytes) {
			bytes += items[n].size()
			n++
		}
		some, err := m.loadSome(ctx, items[:n])
		if err != nil {
			return results, err
		}
		results = append(results, some...)
		items = items[n:]
	}
	return results, nil
}

func (it *Item) size() int {
	n := len(it.Key) + len(it.Dump)
	for _, c := range it.Commands {
		for _, a := range c {
			n += len(a)
		}
	}
	return n
}

func (m *Mirror) loadSome(ctx context.Context, items []Item) ([]Loaded, error) {
	results := make([]Loaded, len(items))
	fence, clock, self := m.cfg.Fence(), m.clock.Load(), m.self.Load()
	if seen := m.seen.Load(); seen == nil || *seen != fence {
		fence = "" // the time since which it holds is not known yet
	}
	switched := m.switched.Load()
	args := append(make([]any, scriptHead, scriptHead+2+5*len(items)), fence, "")
	var sent []int
	last := ""
	for i := range items {
		it := &items[i]
		began, ended := nanosOf(it.Began), nanosOf(it.Ended)
		switch {
		case fence == "" || clock == nil || self == nil || began <= switched:
			results[i] = Fenced
			continue
		case m.stopped.Load() && !it.Absent:
			results[i] = Refused
			continue
		}
		args[scriptHead+1] = self.id
		lo, hi := clock.local(began, ended)
		if call := fmt.Sprintf("@0 %d %d %d %d", began, ended, lo, hi); call != last {
			last = call
			args = append(args, call)
		}
		args = it.append(args, m.home, hi/1000+1)
		sent = append(sent, i)
	}
	if len(sent) == 0 {
		return results, nil
	}
	v, err := m.scripts.load.run(ctx, m.cfg.RDB, args)
	if err != nil {
		return nil, err
	}
	r, _ := v.([]any)
	letters := textOf(r, 3)
	for j, i := range sent {
		switch {
		case textOf(r, 0) != "OK" || j >= len(letters):
			results[i] = Fenced
		case letters[j] == 'N':
			results[i] = Newer
		case letters[j] == 'R':
			results[i] = Refused
			m.counters.refused.Add(1)
		default:
			m.counters.loaded.Add(1)
		}
	}
	if textOf(r, 0) == "FENCED" {
		m.counters.fenced.Add(1)
		m.cfg.Fenced()
	}
	return results, nil
}

// append appends the item as load.lua takes it. at is local's time when it had been read, in ms: it must not
// expire too early.
func (it *Item) append(args []any, home string, at int64) []any {
	db, deadline := it.DB, int64(0)
	if db == home {
		db = ""
	}
	if it.TTL > 0 {
		deadline = at + it.TTL.Milliseconds()
	}
	// By pointers: a string in an interface is an allocation.
	if db == "" {
		args = append(args, "", &it.Key, deadline)
	} else {
		args = append(args, db, &it.Key, deadline)
	}
	switch {
	case it.Absent:
		return append(args, "A")
	case it.Dump != "":
		return append(args, "R", &it.Dump)
	}
	args = append(args, len(it.Commands))
	for _, c := range it.Commands {
		args = append(args, len(c))
		for _, a := range c {
			args = append(args, a)
		}
	}
	return args
}

// nanosOf is nanos at that time.
func nanosOf(t time.Time) int64 { return int64(t.Sub(start)) }

// Track begins to keep the names of keys that local is not sure of, as a whole copy needs it: after
// everything was loaded, Complete says that what is not on local is not on the primary either. done is
// false where the primary does not serve.
func (m *Mirror) Track(ctx context.Context) (done bool, err error) { return m.mark(ctx, "0") }

// Complete marks local as complete, but for the keys in the set of the unsure. done is false where
// something was missed since Track: a process died, a database was flushed, too many keys are unsure, or
// the primary does not serve.
func (m *Mirror) Complete(ctx context.Context) (done bool, err error) {
	if done, err = m.mark(ctx, "1"); done {
		m.complete.Store(true)
	}
	return done, err
}

func (m *Mirror) mark(ctx context.Context, how string) (bool, error) {
	fence := m.cfg.Fence()
	if fence == "" {
		return false, nil
	}
	v, err := m.scripts.complete.call(ctx, m.cfg.RDB, fence, how)
	return v == int64(1), err
}
