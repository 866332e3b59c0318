package journal

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
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
	ahead   *chunk // is being read
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
	r.id, r.epoch, r.from, r.cursor, r.entries, r.ahead, r.full = rec.ID, rec.Epoch, after, after, nil, nil, false
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

// fetch begins to read the chunk after the cursor.
func (r *reader) fetch(ctx context.Context) *chunk {
	c := &chunk{stream: r.streams[0], count: r.count, done: make(chan struct{})}
	cmd := redis.NewRawCmd(ctx, "xrange", c.stream, "("+r.cursor.String(), "+", "count", c.count)
	rdb := r.store.rdb
	go func() {
		defer close(c.done)
		if c.err = rdb.Process(ctx, cmd); c.err == nil {
			c.bytes = len(cmd.Val())
			c.entries, c.err = parseRange(string(cmd.Val()))
		}
		if Mutate.Swap {
			swap(c.entries)
		}
	}()
	return c
}

var errReply = errors.New("redis fallback: a reply of local cannot be read")

// parseRange reads the reply of XRANGE from its bytes. All text is in one string: the general way makes
// several objects of every argument.
func parseRange(raw string) ([]Entry, error) {
	p := replyParser{raw}
	if strings.HasPrefix(raw, "-") {
		return nil, replyError(strings.TrimSuffix(raw[1:], "\r\n"))
	}
	n, ok := p.count('*')
	if !ok {
		return nil, errReply
	}
	entries := make([]Entry, 0, n)
	var slab []string // the fields of many entries
	for range n {
		two, ok1 := p.count('*')
		id, ok2 := p.text()
		m, ok3 := p.count('*')
		if !ok1 || !ok2 || !ok3 || two != 2 {
			return nil, errReply
		}
		if len(slab) < m {
			slab = make([]string, max(m, 512))
		}
		fields := slab[:m:m]
		slab = slab[m:]
		for i := range fields {
			if fields[i], ok = p.text(); !ok {
				return nil, errReply
			}
		}
		e, err := ParseEntry(id, fields)
		if err != nil {
			e.bad, e.Commands, e.Deadlines = err, [][]string{fields}, nil
		}
		entries = append(entries, e)
	}
	return entries, nil
}

type replyParser struct{ rest string }

func (p *replyParser) count(kind byte) (int, bool) {
	line, rest, ok := strings.Cut(p.rest, "\r\n")
	if !ok || line == "" || line[0] != kind {
		return 0, false
	}
	n, err := strconv.Atoi(line[1:])
	p.rest = rest
	return n, err == nil && n >= 0 && n <= len(rest) // nothing has fewer bytes than items
}

func (p *replyParser) text() (string, bool) {
	n, ok := p.count('$')
	if !ok || n > len(p.rest)-2 {
		return "", false
	}
	s := p.rest[:n]
	p.rest = p.rest[n+2:]
	return s, true
}

// drop forgets entries that were delivered, up to an id.
func (r *reader) drop(n int, last ID) {
	clear(r.entries[:n])
	r.entries, r.from = r.entries[n:], last
}
