package mirror

import "sync"

// lanes is how many locks the queue has. A call takes any of them: the flusher empties all at once, and
// puts the calls in order.
const lanes = 8

func lane(began int64) uint8 {
	// Times that follow each other go far apart.
	return uint8(uint64(began) * 0x9e3779b97f4a7c15 >> 61) //nolint:gosec // three bits
}

// queue holds what has been acknowledged and is not on its way to local yet.
type queue struct {
	lanes [lanes]shard
}

type shard struct {
	mu    sync.Mutex // protects all
	items []item
	buf   []byte // operations, as in Ops
	ops   int
	_     [64]byte
}

// item is one call that has ended.
type item struct {
	Call
	put   int64 // when it was queued
	ended int64
	ops   uint32
	size  uint32 // in the buffer
}

// put queues what a call did, which may go on for late nanoseconds more.
func (m *Mirror) put(c Call, ops *Ops, late int64) {
	if ops.n == 0 || m.off.Load() != nil {
		c.gen.leave(c.lane)
		return
	}
	s := &m.queue.lanes[c.lane]
	s.mu.Lock()
	if s.ops+ops.n > m.cfg.Ops/lanes || int64(len(s.buf)+len(ops.buf)) > m.cfg.Bytes/lanes {
		s.mu.Unlock()
		m.drop(string(ops.buf))
		c.gen.leave(c.lane)
		m.rouse()
		return
	}
	now := nanos()
	s.items = append(s.items, item{Call: c, put: now, ended: now + late, ops: uint32(ops.n), size: uint32(len(ops.buf))}) //nolint:gosec // within the queue's bounds
	s.buf = append(s.buf, ops.buf...)
	s.ops += ops.n
	s.mu.Unlock()
	m.rouse()
}

// rouse wakes the flusher if it waits.
func (m *Mirror) rouse() {
	if m.idle.Load() && m.idle.CompareAndSwap(true, false) {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

// cargo is what the flusher took from the queue: the calls in order, each with its operations.
type cargo struct {
	bufs  [lanes][]byte
	items [lanes][]item
	order []load
}

type load struct {
	item
	text   string // operations that are still to be sent
	number int64  // of the call, in this process; 0 none yet
}

// take empties the queue into c, whose own room it gets in return. All locks are held together: of two
// calls that followed each other, the first is never left behind.
func (q *queue) take(c *cargo) {
	for i := range q.lanes {
		q.lanes[i].mu.Lock()
	}
	for i := range q.lanes {
		s := &q.lanes[i]
		if cap(c.bufs[i]) > 1<<20 {
			c.items[i], c.bufs[i] = nil, nil // the room of a burst
		}
		s.items, c.items[i] = c.items[i][:0], s.items
		s.buf, c.bufs[i] = c.bufs[i][:0], s.buf
		s.ops = 0
	}
	for i := range q.lanes {
		q.lanes[i].mu.Unlock()
	}
	c.merge()
}

// merge puts the calls of all lanes, each of which is in order, in one.
func (c *cargo) merge() {
	var at [lanes]int
	var text [lanes]string
	for i := range c.bufs {
		text[i] = string(c.bufs[i])
	}
	clear(c.order)
	c.order = c.order[:0]
	for {
		first := -1
		for i := range c.items {
			if at[i] < len(c.items[i]) && (first < 0 || c.items[i][at[i]].put < c.items[first][at[first]].put) {
				first = i
			}
		}
		if first < 0 {
			return
		}
		it := c.items[first][at[first]]
		at[first]++
		c.order = append(c.order, load{item: it, text: text[first][:it.size]})
		text[first] = text[first][it.size:]
	}
}

// waiting returns how many operations and bytes are queued, and when the oldest call ended; 0 is never.
func (q *queue) waiting() (ops, bytes, oldest int64) {
	for i := range q.lanes {
		s := &q.lanes[i]
		s.mu.Lock()
		ops += int64(s.ops)
		bytes += int64(len(s.buf))
		if len(s.items) > 0 && (oldest == 0 || s.items[0].put < oldest) {
			oldest = s.items[0].put
		}
		s.mu.Unlock()
	}
	return ops, bytes, oldest
}
