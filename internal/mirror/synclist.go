package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/redis/go-redis/v9"
)

// readBatch is some keys that were read.
type readBatch struct {
	keys  int // with those that nobody wants
	found []found
	all   bool   // all that was listed up to next has been read
	next  uint64 // the cursor
	err   error
}

// scan copies one database from s.cursor on. What is next is read while local loads what was read before.
func (s *syncing) scan(ctx context.Context) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	batches, loads := make(chan readBatch, 1), make(chan *loading)
	go s.list(reading, s.db, s.cursor, batches)
	go s.loads(reading, batches, loads)
	var err error
	for l := range loads {
		<-l.done
		if err != nil {
			continue
		}
		if err = l.err; err == nil {
			err = s.take(ctx, l)
		}
		if err != nil {
			stop()
		}
	}
	return err
}

// loading is a batch that is being loaded.
type loading struct {
	readBatch
	loaded []Loaded
	done   chan struct{} // closed when loaded and err are set
}

// loads begins to load each batch while the one before is being loaded: local is never without work.
func (s *syncing) loads(ctx context.Context, from <-chan readBatch, to chan<- *loading) {
	defer close(to)
	for b := range from {
		l := &loading{readBatch: b, done: make(chan struct{})}
		go func() {
			defer close(l.done)
			if l.err == nil {
				l.loaded, l.err = s.c.load(ctx, l.found)
			}
		}()
		to <- l
	}
}

// list reads the keys of a database in the order of SCAN.
func (s *syncing) list(ctx context.Context, db string, cursor uint64, to chan<- readBatch) {
	defer close(to)
	type listed struct {
		keys []string
		next uint64
	}
	var queue []listed
	size := readKeys / 10 // until it is known how large they are, and that local takes their payloads
	for ended := false; !ended || len(queue) > 0; {
		var b readBatch
		var keys []string
		if len(queue) > 0 {
			q := &queue[0]
			keys = q.keys[:min(size, len(q.keys))]
			b.keys = len(keys)
			if q.keys = q.keys[len(keys):]; len(q.keys) == 0 {
				b.all, b.next = true, q.next
				queue = queue[1:]
			}
		}
		var step *scanStep
		if !ended && len(queue) < 2 {
			step = &scanStep{cursor: cursor, match: s.o.Match, count: scanCount}
		}
		if b.err = s.pace.wait(ctx, b.keys); b.err == nil {
			b.found, b.err = s.readAgain(ctx, db, s.c.wanted(keys), step)
		}
		if step != nil && b.err == nil {
			cursor, ended = step.next, step.next == 0
			queue = append(queue, listed{step.keys, step.next})
		}
		to <- b
		if b.err != nil {
			return
		}
		size = fitting(size, b.found)
	}
}

// fitting returns how many keys to read at once, after those that were read.
func fitting(size int, all []found) int {
	bytes := 0
	for i := range all {
		bytes += all[i].size()
	}
	if len(all) == 0 {
		return size
	}
	return min(max(readBytes/max(bytes/len(all), 1), 1), 2*size, readKeys)
}

// readAgain reads, and tries again where the connection fails: reading twice is harmless.
func (s *syncing) readAgain(ctx context.Context, db string, keys []string, step *scanStep) ([]found, error) {
	var all []found
	waits := backoff.NewExponentialBackOff(backoff.WithInitialInterval(200 * time.Millisecond))
	err := backoff.Retry(func() (err error) {
		all, err = s.r.read(ctx, db, keys, step)
		_, reply := errors.AsType[redis.Error](err)
		if reply || errors.Is(err, ErrRefused) || errors.Is(err, ErrBudget) {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(backoff.WithMaxRetries(waits, 4), ctx))
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return all, err
}
