package mirror

import "time"

// Stats are counters since the mirror was made, and what holds now.
type Stats struct {
	Lag      time.Duration // age of the oldest effect that local does not have yet
	Queued   int64         // operations
	Bytes    int64         // of them
	Names    int64         // keys of which only the name is queued: they will be deleted on local
	Sent     int64         // operations that local has done or judged
	Batches  int64
	Skipped  int64 // that came after what made them void
	Dropped  int64 // past the bounds of the queue, of another fence, lost on the way, for want of memory
	Deleted  int64 // keys deleted on local because nothing sure was known of them
	Cold     int64 // operations on keys that local does not hold
	Failed   int64 // that local refused: the key is deleted
	Fenced   int64 // batches
	Claimed  int64 // intents that were sent
	Buried   int64 // dead processes whose keys were deleted
	Emptied  int64 // times that everything was unsure
	Refused  int64 // loads
	Stopped  bool  // used memory is too near to local's limit
	Complete bool  // what local does not hold is not on the primary either
}
