package mirror

import (
	"container/heap"
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// HydrateConfig is what a Hydrator needs. All but Fraction and the bounds must be set.
type HydrateConfig struct {
	// Primary makes a client of the primary, once there is something to read; the Hydrator closes it.
	Primary func(context.Context) (*redis.Client, error)
	// Copier says where local is, and how it is loaded. Its Primary is not used.
	Copier *Copier
	// Serves reports that the primary serves and local has memory to spare: nothing is read otherwise.
	Serves func() bool
	// Sent counts the commands that the program has sent to the primary.
	Sent func() int64
	// Fraction is how many commands may be sent for each of these.
	Fraction float64
	// Bytes bounds a key by the size of its DUMP. 0 is 1 MiB, -1 no bound.
	Bytes int64
	// Keys bounds those that wait. 0 is 10,000.
	Keys int
}

// How a Hydrator goes about it.
const (
	hydrateKeys  = 10_000
	hydrateEvery = 50 * time.Millisecond
	// hydrateDelay passes between a touch and the read, which would be of no use while the write that
	// the touch comes from is not over.
	hydrateDelay = 100 * time.Millisecond
	// hydrateTries is how often a key is read that is being written. The wait doubles: a lost call may
	// run for some seconds still, and each try costs two commands.
	hydrateTries = 8
	// absentFor is how long it is remembered that the primary does not have a key. What makes one is
	// mirrored and needs no reading.
	absentFor = time.Minute
	// mostCredit bounds what a quiet time saves up, in commands: a burst may run into a limit of the rate.
	mostCredit = 2000
)

// Hydrator reads keys that are in use from the primary, as local does not have them: within a fraction of
// the program's own commands, and only while the primary serves. It is safe for concurrent use.
type Hydrator struct {
	cfg  HydrateConfig
	full atomic.Bool

	mu    sync.Mutex // protects the following
	wait  map[touched]*waiting
	order waitings
	gone  map[touched]time.Time // that the primary does not have, until then

	begin  sync.Once
	cancel context.CancelFunc
	done   chan struct{}

	r        *reader
	credit   float64
	seen     int64 // of Sent
	pause    time.Time
	hydrated atomic.Int64
	spent    atomic.Int64
	dropped  atomic.Int64
}

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

// HydrateStats is what a Hydrator has done.
type HydrateStats struct {
	Hydrated int64 // keys that local has now
	Spent    int64 // commands sent to the primary
	Waiting  int64 // keys
	Dropped  int64 // touches for which there was no room
}

// NewHydrator returns a Hydrator that does nothing before Start.
func NewHydrator(cfg HydrateConfig) *Hydrator {
	if cfg.Keys == 0 {
		cfg.Keys = hydrateKeys
	}
	if cfg.Bytes == 0 {
		cfg.Bytes = defaultBytes
	}
	return &Hydrator{cfg: cfg, wait: map[touched]*waiting{}, gone: map[touched]time.Time{}}
}

// Start begins the reading. Only the first call does anything.
func (h *Hydrator) Start() {
	h.begin.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		h.cancel, h.done = cancel, make(chan struct{})
		h.seen = h.cfg.Sent()
		go h.run(ctx)
	})
}

// Close ends it, and waits for that.
func (h *Hydrator) Close() {
	h.begin.Do(func() {}) // nothing to end
	if h.cancel == nil {
		return
	}
	h.cancel()
	<-h.done
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

// Stats returns what was done until now.
func (h *Hydrator) Stats() HydrateStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return HydrateStats{h.hydrated.Load(), h.spent.Load(), int64(len(h.wait)), h.dropped.Load()}
}

func (h *Hydrator) run(ctx context.Context) {
	defer close(h.done)
	t := time.NewTicker(hydrateEvery)
	defer t.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-t.C:
			h.earn()
			for time.Now().After(h.pause) && h.cfg.Serves() && h.some(ctx) {
				h.earn()
			}
		}
	}
	if h.r != nil {
		h.r.close()
		_ = h.r.rdb.Close()
	}
}

// earn adds to the credit what the program's commands since the last time allow.
func (h *Hydrator) earn() {
	sent := h.cfg.Sent()
	h.credit = min(h.credit+h.cfg.Fraction*float64(sent-h.seen), mostCredit)
	h.seen = sent
}

// some reads a batch of keys that are due, and reports whether there may be more to do now.
func (h *Hydrator) some(ctx context.Context) bool {
	batch := h.take(min(int(h.credit/2), readKeys))
	if len(batch) == 0 {
		return false
	}
	err := h.read(ctx, batch)
	if err == nil {
		return true
	}
	// Whatever it is, the program's own calls meet it too. The keys are tried again, a little later.
	h.later(batch, time.Second)
	h.pause = time.Now().Add(time.Second)
	if h.r != nil && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrFenced) {
		h.r.close() // its connections are of no use any more
	}
	return false
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

// read asks local which of the keys it does not have, for that is free, and reads these.
func (h *Hydrator) read(ctx context.Context, batch []*waiting) error {
	c := h.cfg.Copier
	var pairs []string
	for _, w := range batch {
		pairs = append(pairs, w.db, w.key)
	}
	has, err := knownScript.Run(ctx, c.Local, []string{c.Mirror.UnsureKey(), c.Mirror.MetaKey()}, append([]any{c.Database}, c.places(pairs)...)...).Int64Slice()
	if err != nil {
		return err
	}
	byDB := map[string][]*waiting{}
	var known []*waiting
	for i, w := range batch {
		if i < len(has) && has[i] == 1 || !c.wants(w.key) {
			known = append(known, w)
		} else {
			byDB[w.db] = append(byDB[w.db], w)
		}
	}
	h.over(known, false)
	if len(byDB) == 0 {
		return nil
	}
	if h.r == nil {
		rdb, err := h.cfg.Primary(ctx)
		if err != nil {
			return err
		}
		h.r = newReader(rdb, c.Refused)
		h.r.bytes, h.r.most = max(h.cfg.Bytes, 0), defaultElements
	}
	for db, some := range byDB {
		if err := h.load(ctx, db, some); err != nil {
			return err
		}
	}
	return nil
}

// load reads keys of one database and loads them.
func (h *Hydrator) load(ctx context.Context, db string, batch []*waiting) error {
	keys := make([]string, len(batch))
	for i, w := range batch {
		keys[i] = w.key
	}
	before := h.r.spent.Load()
	all, err := h.r.read(ctx, db, keys, nil)
	h.pay(h.r.spent.Load() - before)
	if err != nil {
		return err
	}
	loaded, err := h.cfg.Copier.load(ctx, all)
	if err != nil {
		return err
	}
	var over, gone, again []*waiting
	for i, w := range batch {
		switch {
		case all[i].left == leftLarge, all[i].left == leftUnknown, loaded[i] == Refused:
			gone = append(gone, w) // the same would come of it in a moment
		case all[i].left == leftChanged, loaded[i] == Newer:
			again = append(again, w)
		case all[i].Absent:
			gone = append(gone, w)
		default:
			h.hydrated.Add(1)
			over = append(over, w)
		}
	}
	h.over(over, false)
	h.over(gone, true)
	h.later(again, hydrateDelay)
	return nil
}

func (h *Hydrator) pay(n int64) {
	h.spent.Add(n)
	h.credit -= float64(n)
}
