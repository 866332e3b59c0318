package fallback

import "time"

// MirrorStatus is the mirror's part of a Status: how warm this process keeps local.
type MirrorStatus struct {
	// On is set where there is a mirror. Off says why there is none: local holds keys that no mirror put
	// there, say, or is another service's.
	On  bool
	Off string
	// Complete is set after a Sync with nothing missed since: what local does not hold, the primary does
	// not hold either.
	Complete bool
	// Stopped is set while local has used 70 % of its maxmemory: the rest is the journal's.
	Stopped bool

	// Lag is the age of the oldest write that local does not have yet. Queued and Bytes are what waits.
	Lag           time.Duration
	Queued, Bytes int64

	// Mirrored counts the operations that were sent to local, Dropped those that were not: past the
	// bounds, after a switch, for want of memory. Their keys are deleted on local.
	Mirrored, Dropped int64
	// Unsure counts keys that were deleted on local because nothing sure is known of them: written by
	// several calls at once, by a script, by a call whose reply was lost, or dropped.
	Unsure int64
	// Cold counts operations on keys that local does not hold.
	Cold int64
	// Hydrated counts keys that were read from the primary since they are in use, HydrationCost the
	// commands that this took, and Waiting the keys that are still to be read.
	Hydrated, HydrationCost, Waiting int64
	// Misses counts reads, answered by local, for which it had nothing.
	Misses int64
	// Cleaned counts other processes that died with writes which they had not mirrored: their keys were
	// deleted on local.
	Cleaned int64
	// Emptied counts the times that nothing sure was known of local at all, and it was emptied.
	Emptied int64
}

// mirroring fills in the mirror's part.
func (h *Hook) mirroring(s *Status) {
	m := &s.Mirror
	m.Off = h.noMirror()
	m.On = m.Off == ""
	m.Misses = h.misses.Load()
	if h.share == nil || h.share.mirror == nil {
		return
	}
	st := h.share.mirror.Stats()
	m.Complete, m.Stopped, m.Lag, m.Queued, m.Bytes = st.Complete, st.Stopped, st.Lag, st.Queued, st.Bytes
	m.Mirrored, m.Dropped, m.Unsure, m.Cold = st.Sent, st.Dropped, st.Deleted, st.Cold
	m.Cleaned, m.Emptied = st.Buried, st.Emptied
	if h.share.hydrator != nil {
		hy := h.share.hydrator.Stats()
		m.Hydrated, m.HydrationCost, m.Waiting = hy.Hydrated, hy.Spent, hy.Waiting
	}
}

// noMirror says why there is no mirror.
func (h *Hook) noMirror() string {
	switch {
	case h.share != nil && h.cfg.mirror.Bytes < 0:
		return "it is switched off"
	case h.noJournal() != "":
		return "it needs the journal: " + h.noJournal()
	case h.share == nil || h.share.mirror == nil:
		return ""
	}
	return h.share.mirror.Off()
}
