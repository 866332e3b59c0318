package mirror

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// dead is a process that has not been heard of.
type dead struct {
	id   string
	said string // what it said of itself last
	all  bool   // any key may be one that it wrote
	by   string // who found it
}

// janitor is the goroutine that deletes what dead processes may have written: it reads all names of keys,
// and must not keep the flusher from its work.
type janitor struct{ m *Mirror }

func (j *janitor) run() {
	defer j.m.running.Done()
	for {
		select {
		case <-j.m.ending:
			return
		case found := <-j.m.inspect:
			for _, d := range found {
				if err := j.bury(j.m.life, d); err != nil {
					break // found again
				}
			}
		}
	}
}

// cleanTime is how long one process may be at it before another begins.
const cleanTime = 30 * time.Second

// bury deletes the keys that a dead process claimed, then forgets it.
func (j *janitor) bury(ctx context.Context, d dead) error {
	m := j.m
	fence := m.cfg.Fence()
	if fence == "" {
		return ErrFenced
	}
	lock := m.names.key("mirror:janitor")
	took, err := m.cfg.RDB.SetNX(ctx, lock, d.by, cleanTime).Result()
	if err != nil || !took {
		return errors.Join(err, errBusy)
	}
	defer m.cfg.RDB.Del(context.WithoutCancel(ctx), lock)
	claims, all, err := j.claims(ctx, d)
	if err != nil {
		return err
	}
	switch {
	case all:
		m.empty.Store(true)
	case claims != nil:
		if err := j.doubt(ctx, claims, fence); err != nil {
			return err
		}
	}
	if all || claims != nil {
		if err := m.Flush(ctx); err != nil {
			return err
		}
	}
	had := "0"
	if all || claims != nil {
		had = "1"
	}
	v, err := m.scripts.forget.call(ctx, m.cfg.RDB, fence, d.id, d.said, strconv.Itoa(slots), had)
	if err != nil {
		return err
	}
	if v == int64(1) {
		m.counters.buried.Add(1)
		m.cfg.Log(slog.LevelWarn, "a process has died without saying goodbye: the keys that it may have written were deleted on local",
			slog.Bool("all", all))
	}
	return nil
}

var errBusy = errors.New("another process is at it")

// claims returns the buckets that a process claimed, as bits; nil for none.
func (j *janitor) claims(ctx context.Context, d dead) (claims []byte, all bool, err error) {
	if d.all {
		return nil, true, nil
	}
	for slot := range slots {
		bits, err := j.m.cfg.RDB.Get(ctx, j.m.names.key("mirror:claims:"+d.id+":"+strconv.Itoa(slot))).Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, false, err
		}
		if len(bits) > buckets/8 {
			return nil, true, nil
		}
		if len(claims) < len(bits) {
			claims = append(claims, make([]byte, len(bits)-len(claims))...)
		}
		for i, b := range bits {
			claims[i] |= b
		}
	}
	return claims, false, nil
}

// claimed reports whether a key is in a claimed bucket. SETBIT counts from the highest bit of a byte.
func claimed(claims []byte, key string) bool {
	b := bucketOf(key)
	return int(b>>3) < len(claims) && claims[b>>3]&(0x80>>(b&7)) != 0
}

// doubt makes all keys of claimed buckets unsure: those that are there, and those of which local knows
// that they are not, which may be wrong as well.
func (j *janitor) doubt(ctx context.Context, claims []byte, fence string) error {
	m := j.m
	dbs, err := m.cfg.RDB.SMembers(ctx, m.names.key("mirror:dbs")).Result()
	if err != nil {
		return err
	}
	for _, db := range append(dbs, "") {
		err := scan(func(cursor string) ([]any, error) {
			v, err := m.scripts.scan.call(ctx, m.cfg.RDB, db, cursor, "1000")
			r, _ := v.([]any)
			return r, err
		}, func(key string) {
			if claimed(claims, key) {
				m.loseKey(db, key)
			}
		})
		if err != nil {
			return err
		}
	}
	words := strings.Fields(fence)
	epoch := ""
	if len(words) > 2 {
		epoch = words[1]
	}
	now, err := m.cfg.RDB.Time(ctx).Result()
	if err != nil {
		return err
	}
	at := now.UnixMicro() / window.Microseconds()
	for w := at - 1; w <= at+1; w++ {
		name := m.names.key("mirror:recent:" + epoch + ":" + strconv.FormatInt(w, 10))
		err := scan(func(cursor string) ([]any, error) {
			return m.cfg.RDB.Do(ctx, "hscan", name, cursor, "count", "1000").Slice()
		}, func(name string) {
			if db, key := split(name); claimed(claims, key) {
				m.loseKey(db, key)
			}
		}, 2)
		if err != nil {
			return err
		}
	}
	return nil
}

// scan goes through what a cursor yields, of which every step-th element is wanted.
func scan(next func(cursor string) ([]any, error), do func(string), step ...int) error {
	by := append(step, 1)[0]
	for cursor := "0"; ; {
		r, err := next(cursor)
		if err != nil {
			return err
		}
		if len(r) != 2 {
			return errors.New("no reply of a scan")
		}
		list, _ := r[1].([]any)
		for i := 0; i < len(list); i += by {
			if s, ok := list[i].(string); ok {
				do(s)
			}
		}
		if cursor, _ = r[0].(string); cursor == "0" {
			return nil
		}
	}
}
