package mirror

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/miss.lua
var missLua string

//go:embed lua/known.lua
var knownLua string

//go:embed lua/present.lua
var presentLua string

var (
	missScript    = redis.NewScript(missLua)
	presentScript = redis.NewScript(presentLua)
	knownScript   = redis.NewScript(knownLua)
)

// mostUnsure is how many keys local may be known not to have.
const mostUnsure = 100_000

// retries is how often keys are read again that were written while they were read.
const retries = 6

func (c *Copier) key(what string) string { return keyNames{"fallback:" + c.Name + ":"}.key(what) }

func (c *Copier) syncKey() string { return c.key("mirror:sync") }

// begin finds out where to begin.
func (s *syncing) begin(ctx context.Context) error {
	if found, err := s.load(ctx); err != nil || found {
		return err
	}
	s.id = rand.Text()[:12]
	pipe := s.c.Local.TxPipeline()
	pipe.Del(ctx, s.c.syncKey())
	pipe.HSet(ctx, s.c.syncKey(), "id", s.id, "match", s.o.Match, "bytes", s.r.bytes)
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	done, err := s.c.Mirror.Track(ctx)
	if err == nil && !done {
		err = ErrFenced
	}
	return err
}

// load reads how far an earlier one with the same options came, if there is one.
func (s *syncing) load(ctx context.Context) (bool, error) {
	pipe := s.c.Local.TxPipeline()
	state, tracked := pipe.HGetAll(ctx, s.c.syncKey()), pipe.HExists(ctx, s.c.Mirror.MetaKey(), "complete")
	_, err := pipe.Exec(ctx)
	m := state.Val()
	// Whatever took away some of what was copied has ended the tracking with it.
	if err != nil || s.o.Restart || !tracked.Val() || m["id"] == "" || m["match"] != s.o.Match || m["bytes"] != strconv.FormatInt(s.r.bytes, 10) {
		return false, err
	}
	n := func(name string) int64 {
		n, _ := strconv.ParseInt(m[name], 10, 64)
		return n
	}
	p := &s.report.SyncProgress
	p.Resumed = true
	p.Read, p.Copied, p.Gone, p.Newer = n("read"), n("copied"), n("gone"), n("newer")
	p.Large, p.Unknown, p.Refused, p.Extra = n("large"), n("unknown"), n("refused"), n("extra")
	s.id, s.db, s.scanned = m["id"], m["db"], m["scanned"] == "1"
	s.cursor, _ = strconv.ParseUint(m["cursor"], 10, 64)
	s.before, s.done = n("commands"), p.Read
	return true, nil
}

// save keeps on local how far it is.
func (s *syncing) save(ctx context.Context) error {
	p := &s.report.SyncProgress
	return s.c.Local.HSet(ctx, s.c.syncKey(), "db", s.db, "cursor", strconv.FormatUint(s.cursor, 10), "scanned", flag(s.scanned),
		"read", p.Read, "copied", p.Copied, "gone", p.Gone, "newer", p.Newer, "large", p.Large, "unknown", p.Unknown,
		"refused", p.Refused, "extra", p.Extra, "commands", s.before+s.r.spent.Load()).Err()
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// miss notes keys, given as database and name, that local may not have.
func (s *syncing) miss(ctx context.Context, pairs []string) error {
	if len(pairs) == 0 {
		return nil
	}
	args := append([]any{s.c.Database, mostUnsure}, s.c.places(pairs)...)
	return missScript.Run(ctx, s.c.Local, []string{s.c.Mirror.UnsureKey(), s.c.Mirror.MetaKey()}, args...).Err()
}

// places are the arguments of miss.lua and present.lua for keys.
func (c *Copier) places(pairs []string) []any {
	args := make([]any, 0, len(pairs)/2*3)
	for i := 0; i < len(pairs); i += 2 {
		args = append(args, c.number(pairs[i]), pairs[i+1], member(pairs[i], pairs[i+1]))
	}
	return args
}

// retry reads those keys again that local does not have, as long as there are some that were written
// meanwhile.
func (s *syncing) retry(ctx context.Context) error {
	wait := 100 * time.Millisecond
	for range retries {
		before := s.report.Newer
		tried, err := s.retryAll(ctx)
		if err != nil {
			return err
		}
		newer := s.report.Newer - before
		s.report.Newer = before
		if tried == 0 || newer == 0 {
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
	return nil
}

// retryAll goes through the unsure set once.
func (s *syncing) retryAll(ctx context.Context) (int, error) {
	tried := 0
	for cursor := uint64(0); ; {
		members, next, err := s.c.Local.SScan(ctx, s.c.Mirror.UnsureKey(), cursor, "", readKeys).Result()
		if err != nil {
			return tried, err
		}
		n, err := s.retrySome(ctx, members)
		if tried += n; err != nil {
			return tried, err
		}
		if cursor = next; cursor == 0 {
			return tried, nil
		}
	}
}

func (s *syncing) retrySome(ctx context.Context, members []string) (int, error) {
	var pairs []string
	for _, m := range members {
		if db, key, ok := strings.Cut(m, "|"); ok && !s.out[m] {
			pairs = append(pairs, db, key)
		}
	}
	if len(pairs) == 0 {
		return 0, nil
	}
	has, err := presentScript.Run(ctx, s.c.Local, []string{s.c.Mirror.UnsureKey()}, append([]any{s.c.Database}, s.c.places(pairs)...)...).Int64Slice()
	if err != nil {
		return 0, err
	}
	if len(has) != len(pairs)/2 {
		return 0, fmt.Errorf("redis fallback: local answered for %d keys of %d", len(has), len(pairs)/2)
	}
	byDB := map[string][]string{}
	n := 0
	for i, there := range has {
		if there == 0 {
			n++
			byDB[pairs[2*i]] = append(byDB[pairs[2*i]], pairs[2*i+1])
		}
	}
	for db, keys := range byDB {
		all, err := s.readAgain(ctx, db, keys, nil)
		if err == nil {
			err = s.put(ctx, all)
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// end says on local that it is done.
func (s *syncing) end(ctx context.Context, whole bool) error {
	var err error
	if whole {
		s.report.Complete, err = s.c.Mirror.Complete(ctx)
	}
	if err == nil {
		s.report.Unsure, err = s.c.Local.SCard(ctx, s.c.Mirror.UnsureKey()).Result()
	}
	if err != nil {
		return err
	}
	return s.c.Local.Del(ctx, s.c.syncKey()).Err()
}
