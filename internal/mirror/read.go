package mirror

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors that end a copy. What was copied before stays copied, and the next Sync goes on from there.
var (
	// ErrRefused is about a primary that refuses to be read: it is over a limit, say.
	ErrRefused = errors.New("redis fallback: the primary refuses to be read")
	// ErrBudget ends a copy that may not send the primary more commands.
	ErrBudget = errors.New("redis fallback: the copy has spent its budget of commands")
)

// left says why a key was not read.
type left byte

const (
	leftNothing left = iota
	leftLarge        // more bytes or elements than may be copied
	leftUnknown      // a type that only its own server knows
	leftChanged      // it changed its type, or went, between two parts
)

// found is a key as the primary has it.
type found struct {
	Item
	left left
}

// reader reads whole keys from a server. It is safe for concurrent use.
type reader struct {
	rdb     *redis.Client    // does not try again by itself
	refused func(error) bool // an error reply that says that the server takes no commands now
	bytes   int64            // a key that is larger is left out; 0 no bound
	most    int              // and one of more elements
	budget  int64            // commands that may be sent; 0 no bound

	spent  atomic.Int64
	byType atomic.Bool // no payloads: local does not take this server's, or it gives none
	plain  atomic.Bool // the server knows no expiry of a hash's fields

	mu  sync.Mutex // protects dbs
	dbs map[string]*redis.Client
}

func newReader(rdb *redis.Client, refused func(error) bool) *reader {
	return &reader{rdb: rdb, refused: refused, dbs: map[string]*redis.Client{}}
}

// in returns the client whose connections are in a database. SELECT on a connection of the pool would
// stay on it.
func (r *reader) in(db string) *redis.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.dbs[db]
	if !ok {
		opts := *r.rdb.Options()
		if db != "" {
			_, _ = fmt.Sscan(db, &opts.DB)
		}
		// RESP2: its replies are the same for all versions, and scores are the server's own text.
		opts.Protocol, opts.MaxRetries = 2, -1
		c = redis.NewClient(&opts)
		r.dbs[db] = c
	}
	return c
}

func (r *reader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.dbs {
		_ = c.Close()
	}
	clear(r.dbs)
}

// spend counts commands before they are sent.
func (r *reader) spend(n int) error {
	if r.spent.Add(int64(n)) > r.budget && r.budget > 0 {
		r.spent.Add(-int64(n))
		return ErrBudget
	}
	return nil
}

// exec sends a pipeline. Its error is one of the connection or a refusal; the replies may have others,
// which are about their keys.
func (r *reader) exec(ctx context.Context, pipe redis.Pipeliner) error {
	if err := r.spend(pipe.Len()); err != nil {
		return err
	}
	cmds, err := pipe.Exec(ctx)
	if err == nil || cmds == nil {
		return err
	}
	for _, cmd := range cmds {
		if err := r.judge(cmd.Err()); err != nil {
			return err
		}
	}
	return nil
}

// judge returns an error that is not about a key.
func (r *reader) judge(err error) error {
	if err == nil || errors.Is(err, redis.Nil) {
		return nil
	}
	if _, ok := errors.AsType[redis.Error](err); !ok {
		return err
	}
	// NOPERM is about one command or its keys, whatever it is elsewhere.
	if r.refused != nil && !redis.HasErrorPrefix(err, "NOPERM") && r.refused(err) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// scanStep is a step of SCAN, to be sent with what else there is to read.
type scanStep struct {
	cursor uint64
	match  string
	count  int64
	keys   []string
	next   uint64
}

// read reads keys of a database, in two commands for each, and takes a step of the scan in the same
// round trip, unless that is nil.
func (r *reader) read(ctx context.Context, db string, keys []string, step *scanStep) ([]found, error) {
	rdb := r.in(db)
	pipe := rdb.Pipeline()
	var scanned *redis.ScanCmd
	if step != nil {
		scanned = pipe.Scan(ctx, step.cursor, step.match, step.count)
	}
	byType := r.byType.Load()
	dumps, expiries := make([]*redis.StringCmd, 0, len(keys)), make([]*redis.DurationCmd, 0, len(keys))
	if !byType {
		for _, key := range keys {
			dumps = append(dumps, pipe.Dump(ctx, key))
			expiries = append(expiries, pipe.PTTL(ctx, key))
		}
	}
	began := time.Now()
	if pipe.Len() > 0 {
		if err := r.exec(ctx, pipe); err != nil {
			return nil, err
		}
	}
	ended := time.Now()
	if step != nil {
		var err error
		if step.keys, step.next, err = scanned.Result(); err != nil {
			return nil, err
		}
	}
	if byType {
		return r.parts(ctx, db, keys)
	}
	all := make([]found, len(keys))
	var again []int
	for i, key := range keys {
		all[i] = found{Item: Item{DB: db, Key: key, Began: began, Ended: ended}}
		f := &all[i]
		dump, err := dumps[i].Result()
		switch {
		case errors.Is(err, redis.Nil):
			f.Absent = true
		case err != nil: // too large for the service's replies, or a command it does not have
			if redis.HasErrorPrefix(err, "unknown command") || redis.HasErrorPrefix(err, "NOPERM") {
				r.byType.Store(true)
			}
			again = append(again, i)
		case r.bytes > 0 && int64(len(dump)) > r.bytes:
			f.left = leftLarge
		case moduleOf(dump) == "TSDB-TYPE":
			// A series is also in the memory of others, by its rules, and adds to them what is written to it.
			f.left = leftUnknown
		default:
			f.Dump = dump
			f.expires(expiries[i])
		}
	}
	return all, r.again(ctx, db, all, again)
}

// moduleOf returns the name of the module's type that a payload is of, and "" for Redis' own types: nine
// characters of six bits each, and ten bits for a version.
func moduleOf(dump string) string {
	const module, long = 7, 0x81
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(dump) < 10 || dump[0] != module || dump[1] != long {
		return ""
	}
	id := binary.BigEndian.Uint64([]byte(dump[2:10]))
	var name [9]byte
	for i := range name {
		name[i] = letters[id>>(64-6*(i+1))&63]
	}
	return string(name[:])
}

// expires takes the reply of PTTL over.
func (f *found) expires(cmd *redis.DurationCmd) {
	switch d, err := cmd.Result(); {
	case err != nil:
		f.left = leftUnknown
	case d == -2: // as go-redis has the replies that are no times
		f.Dump, f.Absent = "", true
	case d >= 0:
		f.TTL = max(d, time.Millisecond)
	}
}

// again reads some keys of a batch type by type.
func (r *reader) again(ctx context.Context, db string, all []found, which []int) error {
	if len(which) == 0 {
		return nil
	}
	keys := make([]string, len(which))
	for i, at := range which {
		keys[i] = all[at].Key
	}
	parts, err := r.parts(ctx, db, keys)
	if err != nil {
		return err
	}
	for i, at := range which {
		all[at] = parts[i]
	}
	return nil
}
