package mirror

import (
	"container/heap"
	"strconv"
	"strings"
	"time"
)

type touched struct{ db, key string }

// waiting is a key that is to be read.
type waiting struct {
	touched
	due    time.Time
	tries  int
	queued bool
}

type waitings []*waiting

func (w waitings) Len() int           { return len(w) }
func (w waitings) Less(i, j int) bool { return w[i].due.Before(w[j].due) }
func (w waitings) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }

// Push is for heap alone.
func (w *waitings) Push(x any) { *w = append(*w, x.(*waiting)) }

// Pop is for heap alone.
func (w *waitings) Pop() any {
	last := (*w)[len(*w)-1]
	(*w)[len(*w)-1] = nil
	*w = (*w)[:len(*w)-1]
	return last
}

// Touch says that the program uses a key that local may not have. It never waits, and where there is no
// room it allocates nothing and forgets the key.
func (h *Hydrator) Touch(db, key string) {
	if h.full.Load() || !h.mu.TryLock() {
		h.dropped.Add(1)
		return
	}
	defer h.mu.Unlock()
	if db == strconv.Itoa(h.cfg.Copier.Home) {
		db = "" // by either name
	}
	t := touched{db, key}
	if _, ok := h.wait[t]; ok {
		return
	}
	if until, ok := h.gone[t]; ok {
		if time.Now().Before(until) {
			return
		}
		delete(h.gone, t)
	}
	// The text may be a part of something much larger.
	h.pushLocked(&waiting{touched: touched{strings.Clone(db), strings.Clone(key)}, due: time.Now().Add(hydrateDelay)})
}

func (h *Hydrator) pushLocked(w *waiting) {
	h.wait[w.touched] = w
	w.queued = true
	heap.Push(&h.order, w)
	h.full.Store(len(h.wait) >= h.cfg.Keys)
}

// take takes keys that are due.
func (h *Hydrator) take(n int) []*waiting {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	var batch []*waiting
	for len(batch) < n && len(h.order) > 0 && !h.order[0].due.After(now) {
		w := heap.Pop(&h.order).(*waiting)
		w.queued = false
		batch = append(batch, w)
	}
	return batch
}

// later lets keys wait again.
func (h *Hydrator) later(batch []*waiting, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range batch {
		switch {
		case h.wait[w.touched] != w || w.queued: // it has been dealt with
		case w.tries < hydrateTries:
			w.tries++
			w.due = time.Now().Add(wait << (w.tries - 1))
			h.pushLocked(w)
		default:
			delete(h.wait, w.touched)
		}
	}
	h.full.Store(len(h.wait) >= h.cfg.Keys)
}

// over forgets keys. Those that the primary does not have are remembered as such.
func (h *Hydrator) over(batch []*waiting, gone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	until := time.Now().Add(absentFor)
	for _, w := range batch {
		delete(h.wait, w.touched)
		if gone {
			h.gone[w.touched] = until
		}
	}
	h.full.Store(len(h.wait) >= h.cfg.Keys)
	if len(h.gone) > h.cfg.Keys {
		for t, until := range h.gone {
			if len(h.gone) > h.cfg.Keys/2 || time.Now().After(until) {
				delete(h.gone, t)
			}
		}
	}
}
