package mirror

import (
	"context"
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
	return nil, nil
}

// Track begins to keep the names of keys that local is not sure of, as a whole copy needs it: after
// everything was loaded, Complete says that what is not on local is not on the primary either. done is
// false where the primary does not serve.
func (m *Mirror) Track(ctx context.Context) (done bool, err error) { return false, nil }

// Complete marks local as complete, but for the keys in the set of the unsure. done is false where
// something was missed since Track: a process died, or a database was flushed.
func (m *Mirror) Complete(ctx context.Context) (done bool, err error) { return false, nil }

// UnsureKey is the set, in the journal's database, of the keys that a local which is tracked or complete
// does not know: "db|key".
func (m *Mirror) UnsureKey() string { return "" }
