package journal

import (
	"context"
	"strconv"
)

// How much is read at once, so that local is not held up and memory stays bounded.
const (
	firstChunk = 200
	chunkBytes = 1 << 18
	mostChunk  = 5_000
)

// reader reads entries from local in the order of their ids. What is read is not marked: entries never
// change, and the mark that precedes their delivery is refused if the streams may have been renamed.
type reader struct {
	store   *Store
	id      string // of the record, and its epoch
	epoch   uint64
	streams []string // that may have entries after the cursor
	from    ID       // entries holds what comes after it
	cursor  ID       // and it has been read up to here
	entries []Entry
	count   int
	socket  *socket
	ahead   *chunk // is being read, over the socket
	full    bool   // the last chunk was: there may be more
}

// start makes the reader read what comes after an id.
func (r *reader) start(ctx context.Context, rec *Record, after ID) error {
	if r.id == rec.ID && r.epoch == rec.Epoch && r.from.Compare(after) <= 0 && r.cursor.Compare(after) >= 0 {
		n := 0
		for n < len(r.entries) && r.entries[n].ID.Compare(after) <= 0 {
			n++
		}
		r.entries, r.from = r.entries[n:], after
		return nil
	}
	r.abandon()
	r.id, r.epoch, r.from, r.cursor, r.entries, r.full = rec.ID, rec.Epoch, after, after, nil, false
	r.streams = nil
	if r.count == 0 {
		r.count = firstChunk
	}
	if rec.Floor.After(after) { // the primary has rolled back
		kept, err := r.store.rdb.LRange(ctx, r.store.kept(), 0, -1).Result()
		if err != nil {
			return err
		}
		r.streams = kept
	}
	if rec.Closed != "" && rec.Serving == Closing {
		r.streams = append(r.streams, rec.Closed)
	}
	r.streams = append(r.streams, r.store.stream())
	return nil
}

// next returns the entry after those that were taken, and nil where there is none yet.
func (r *reader) next(ctx context.Context, taken int) (*Entry, error) {
	for taken >= len(r.entries) {
		more, err := r.more(ctx)
		if err != nil || !more {
			return nil, err
		}
	}
	return &r.entries[taken], nil
}

// more reads a chunk, and reports false at the end of the journal.
func (r *reader) more(ctx context.Context) (bool, error) {
	for {
		c, early := r.ahead, r.ahead != nil
		if r.ahead, r.full = nil, false; !early {
			c = r.fetch(ctx)
		}
		<-c.done
		if c.err != nil {
			return false, c.err
		}
		if len(c.entries) < c.count && len(r.streams) > 1 {
			r.streams = r.streams[1:]
		}
		if len(c.entries) == 0 {
			// What was read ahead tells nothing of the end: by it a deadline may pass for good.
			if len(r.streams) == 1 && c.stream == r.streams[0] && !early {
				return false, nil
			}
			continue
		}
		if len(r.entries) == 0 {
			r.entries = c.entries
		} else {
			r.entries = append(r.entries, c.entries...)
		}
		r.cursor = c.entries[len(c.entries)-1].ID
		if len(c.entries) == c.count {
			r.count = min(mostChunk, max(firstChunk/10, len(c.entries)*chunkBytes/max(c.bytes, 1)))
			r.full = true
		}
		return true, nil
	}
}

// chunk is what one XRANGE reads. Its other fields are there once done is closed.
type chunk struct {
	stream  string
	count   int
	stop    context.CancelFunc
	done    chan struct{}
	entries []Entry
	bytes   int
	err     error
}

// prefetch begins to read the next chunk, if less than n entries are at hand and there may be more. It is
// for when the primary works.
func (r *reader) prefetch(ctx context.Context, n int) {
	if r.full && r.ahead == nil && len(r.entries) < n {
		r.ahead = r.fetch(ctx)
	}
}

// fetch begins to read the chunk after the cursor. Until that is done the socket is its own.
func (r *reader) fetch(ctx context.Context) *chunk {
	ctx, stop := context.WithCancel(ctx)
	c := &chunk{stream: r.streams[0], count: r.count, stop: stop, done: make(chan struct{})}
	after := "(" + r.cursor.String()
	go func() {
		defer close(c.done)
		defer stop()
		var raw string
		if raw, c.err = r.call(ctx, "xrange", c.stream, after, "+", "count", strconv.Itoa(c.count)); c.err == nil {
			c.bytes = len(raw)
			c.entries, c.err = parseRange(raw)
		}
		if Mutate.Swap {
			swap(c.entries)
		}
	}()
	return c
}

func (r *reader) call(ctx context.Context, args ...string) (raw string, err error) {
	if r.socket == nil {
		if r.socket, err = openSocket(ctx, r.store.rdb); err != nil {
			return "", err
		}
	}
	raw, err = r.socket.call(ctx, args...)
	if err != nil || ctx.Err() != nil { // what ends a context may end the next call
		r.socket.close()
		r.socket = nil
	}
	return raw, err
}

// abandon ends what is being read ahead.
func (r *reader) abandon() {
	if r.ahead != nil {
		r.ahead.stop()
		<-r.ahead.done
		r.ahead = nil
	}
}

// close ends the reading. It may begin again.
func (r *reader) close() {
	r.abandon()
	if r.socket != nil {
		r.socket.close()
		r.socket = nil
	}
}

// reset forgets what was read.
func (r *reader) reset() {
	r.abandon()
	*r = reader{store: r.store, count: r.count, socket: r.socket}
}

// drop forgets entries that were delivered, up to an id.
func (r *reader) drop(n int, last ID) {
	clear(r.entries[:n])
	r.entries, r.from = r.entries[n:], last
}
