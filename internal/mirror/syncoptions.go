package mirror

import "time"

// SyncOptions are for one Sync. The zero value copies everything, as fast as it goes.
type SyncOptions struct {
	Budget   int64  // commands that the primary may be sent; 0 any number
	Rate     int    // keys a second; 0 any number
	Match    string // only keys that SCAN matches with it; "" all
	MaxBytes int64  // larger keys are left out, by the size of their DUMP; 0 is 1 MiB, -1 no bound
	Restart  bool   // begin anew where an earlier one was interrupted
	// Progress is called before the first key, and then with each batch.
	Progress func(SyncProgress)
}

const (
	defaultBytes    = 1 << 20
	defaultElements = 10_000 // where keys have to be read type by type
)

// SyncProgress is how far a Sync is. All but Resumed and the two durations count, earlier runs of it
// included.
type SyncProgress struct {
	Keys     int64 // of the primary at the beginning
	Held     int64 // of local, which no mirror put there: they are deleted first
	Cost     int64 // commands that are still to be sent, about
	Read     int64 // keys
	Copied   int64
	Gone     int64 // deleted or expired between SCAN and DUMP
	Newer    int64 // written while they were read: tried again at the end
	Large    int64 // left out
	Unknown  int64 // left out: of a type that only the primary knows
	Refused  int64 // left out: local refuses them
	Extra    int64 // deleted on local, because the primary does not have them
	Commands int64 // sent to the primary
	Resumed  bool  // an earlier one is gone on with
	Elapsed  time.Duration
	Left     time.Duration // about; 0 not known
}

// SyncReport is what a Sync came to.
type SyncReport struct {
	SyncProgress
	// Complete is set once local has everything but the keys that it is known not to have, Unsure of them:
	// what else is absent on local is absent on the primary.
	Complete bool
	Unsure   int64
}
