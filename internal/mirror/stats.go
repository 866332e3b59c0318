package mirror

import (
	"sync/atomic"
	"time"
)

// Stats are counters since the mirror was made, and what holds now.
type Stats struct {
	Lag      time.Duration // age of the oldest effect that local does not have yet
	Queued   int64         // operations
	Bytes    int64         // of them
	Names    int64         // keys of which only the name is queued: they will be deleted on local
	Sent     int64         // operations that local has done or judged
	Batches  int64         // of them
	Skipped  int64         // operations that came after what made them void
	Dropped  int64         // operations that became a name: no room, another fence, a reply that was lost
	Deleted  int64         // keys deleted on local because nothing sure was known of them
	Cold     int64         // operations on keys that local does not hold
	Failed   int64         // operations that local refused: the key is deleted
	Fenced   int64         // batches and loads that met another fence
	Lost     int64         // batches without a reply
	Claimed  int64         // intents to write that were sent
	Buried   int64         // dead processes whose keys were deleted
	Emptied  int64         // times that everything was unsure
	Loaded   int64         // keys
	Refused  int64         // keys that local could not load
	Stopped  bool          // used memory is too near to local's limit: keys are deleted, none is written
	Complete bool          // what local does not hold, and is not unsure, is not on the primary either
}

type counters struct {
	sent, batches, skipped, dropped, deleted, cold, failed, fenced, lost, claimed, buried, emptied, loaded, refused atomic.Int64
}

// Stats returns what is known now.
func (m *Mirror) Stats() Stats {
	c := &m.counters
	ops, bytes, first := m.queue.waiting()
	if o := m.oldest.Load(); o > 0 && (first == 0 || o < first) {
		first = o
	}
	s := Stats{
		Queued: ops, Bytes: bytes, Names: m.lost.n.Load(), Sent: c.sent.Load(), Batches: c.batches.Load(),
		Skipped: c.skipped.Load(), Dropped: c.dropped.Load(), Deleted: c.deleted.Load(), Cold: c.cold.Load(),
		Failed: c.failed.Load(), Fenced: c.fenced.Load(), Lost: c.lost.Load(), Claimed: c.claimed.Load(),
		Buried: c.buried.Load(), Emptied: c.emptied.Load(), Loaded: c.loaded.Load(), Refused: c.refused.Load(),
		Stopped: m.stopped.Load(), Complete: m.complete.Load(),
	}
	if first > 0 {
		s.Lag = time.Duration(nanos() - first)
	}
	return s
}
