package fallback

import (
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
)

// JournalConfig holds the numbers of the journal: what local acknowledges while it serves, kept there
// until the primary has it. 0 is the default, -1 turns off.
type JournalConfig struct {
	// Database is the number of local's database that the journal lies in; nothing else may. Default
	// 15, -1 no journal: what is written while local serves then stays on local, and each process
	// decides for itself which server serves.
	Database int
	// Entries and Bytes bound it, measured once a second. Beyond either it adds no operations on keys
	// that local holds whole, but their names, once, and they are delivered as they are in the end;
	// scripts of yours, commands that are not known, and those on such keys and others together are
	// refused with ErrJournalFull. At twice as much so is every write that would add something. Where
	// local may evict keys it is full at once. Defaults 5,000,000 and 1 GiB; -1 no bound.
	Entries, Bytes int64
	// Budget is how many commands a return may cost the primary. Default a tenth of the limit that
	// the primary's refusal named, -1 no bound. A journal that costs more waits for Drain.
	Budget int64
	// Patience is how long local, which holds the journal and the record of who serves, may be gone
	// while the primary is well, before a process goes on with the primary alone. What local holds is
	// delivered when it is back, which is late: it may take the place of something newer. Sooner, a
	// restart of local that takes seconds would cost the order of writes. Default 1 min, -1 never.
	Patience time.Duration
}

const (
	defaultEntries = 5_000_000
	defaultBytes   = 1 << 30
)

func (j JournalConfig) withDefaults() JournalConfig {
	if j.Database == 0 {
		j.Database = journal.DefaultDatabase
	}
	// From here on 0 is no bound.
	or := func(n *int64, v int64) {
		if *n == 0 {
			*n = v
		}
		*n = max(*n, 0)
	}
	or(&j.Entries, defaultEntries)
	or(&j.Bytes, defaultBytes)
	if j.Patience == 0 {
		j.Patience = time.Minute
	}
	j.Patience = max(j.Patience, 0)
	return j
}

// WithJournal sets the numbers of the journal.
func WithJournal(j JournalConfig) Option { return func(c *config) { c.journal = j } }
