package check

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Warm is what local holds of the primary's keys in the end. A key may be absent there; one that is there
// must be as the primary has it.
type Warm struct {
	Keys  int // of the primary
	Held  int // on local, as the primary has them
	Wrong []Wrong
}

// Absent returns how many keys of the primary local does not hold.
func (w *Warm) Absent() int {
	n := w.Keys - w.Held
	for _, x := range w.Wrong {
		if x.Primary != "" {
			n--
		}
	}
	return n
}

// Wrong is a key that local holds, and not as the primary does.
type Wrong struct {
	Key            string
	Local, Primary string // "" is none
}

func (w Wrong) String() string {
	if w.Primary == "" {
		return fmt.Sprintf("%s is on local alone: %.200s", w.Key, w.Local)
	}
	return fmt.Sprintf("%s on local: %.200s; on the primary: %.200s", w.Key, w.Local, w.Primary)
}

// again is how long it takes until keys that differ are looked at again: one may be expiring.
const again = 100 * time.Millisecond

// Mirrored compares local with the primary, which nobody writes to. Expiries may be apart by slack and a
// second, as long may a key live longer on local.
func Mirrored(ctx context.Context, primary, local *redis.Client, slack time.Duration) (*Warm, error) {
	there, err := userKeys(ctx, primary)
	if err != nil {
		return nil, err
	}
	held, err := userKeys(ctx, local)
	if err != nil {
		return nil, err
	}
	w := &Warm{Keys: len(there)}
	slack += margin * time.Millisecond
	for until := time.Now().Add(slack); ; {
		w.Wrong = nil
		for some := range slices.Chunk(held, 500) {
			if err := w.compare(ctx, primary, local, some, slack); err != nil {
				return nil, err
			}
		}
		if len(w.Wrong) == 0 || time.Now().After(until) {
			return w, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(again):
		}
		// Of the others one might be expiring then.
		held = held[:0]
		for _, x := range w.Wrong {
			held = append(held, x.Key)
		}
	}
}

// compare adds keys of local to those that are as on the primary, and to those that are not.
func (w *Warm) compare(ctx context.Context, primary, local *redis.Client, keys []string, slack time.Duration) error {
	ours, err := contents(ctx, local, keys)
	if err != nil {
		return err
	}
	theirs, err := contents(ctx, primary, keys)
	if err != nil {
		return err
	}
	for i, key := range keys {
		a, b := ours[i], theirs[i]
		switch {
		case a.text == "": // it has expired
		case a.equal(b, slack):
			w.Held++
		default:
			w.Wrong = append(w.Wrong, Wrong{key, a.String(), b.String()})
		}
	}
	return nil
}

// content is all that a key holds, as text, with its expiry in ms since 1970; 0 is none.
type content struct {
	text    string
	expires int64
}

func (c content) equal(d content, slack time.Duration) bool {
	if c.text != d.text || (c.expires == 0) != (d.expires == 0) {
		return false
	}
	apart := c.expires - d.expires
	return max(apart, -apart) <= slack.Milliseconds()
}

func (c content) String() string {
	if c.expires == 0 {
		return c.text
	}
	return fmt.Sprintf("(expires at %d) %s", c.expires, c.text)
}

// userKeys lists the application's keys, but for those that the servers differ in.
func userKeys(ctx context.Context, rdb *redis.Client) ([]string, error) {
	var keys []string
	it := rdb.Scan(ctx, 0, "*", 1000).Iterator()
	for it.Next(ctx) {
		if k := it.Val(); !strings.HasPrefix(k, "fallback:") && !strings.HasPrefix(k, "crash:") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), it.Err()
}

// contents reads keys.
func contents(ctx context.Context, rdb *redis.Client, keys []string) ([]content, error) {
	pipe := rdb.Pipeline()
	types, expires := make([]*redis.StatusCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
	for i, k := range keys {
		types[i], expires[i] = pipe.Type(ctx, k), pipe.PExpireTime(ctx, k)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reading the types of keys: %w", err)
	}
	all := make([]content, len(keys))
	read := make([]func() any, len(keys))
	for i, k := range keys {
		all[i].expires = max(expires[i].Val().Milliseconds(), 0)
		switch types[i].Val() {
		case "string":
			v := pipe.Get(ctx, k)
			read[i] = func() any { return v.Val() }
		case "list":
			v := pipe.LRange(ctx, k, 0, -1)
			read[i] = func() any { return v.Val() }
		case "set":
			v := pipe.SMembers(ctx, k)
			read[i] = func() any { return slices.Sorted(slices.Values(v.Val())) }
		case "zset":
			v := pipe.ZRangeWithScores(ctx, k, 0, -1)
			read[i] = func() any { return v.Val() }
		case "hash":
			v := pipe.HGetAll(ctx, k)
			read[i] = func() any { return v.Val() }
		case "stream":
			v := pipe.XRange(ctx, k, "-", "+")
			read[i] = func() any { return v.Val() }
		case "none":
			all[i].expires = 0
		default:
			return nil, fmt.Errorf("%s is a %s", k, types[i].Val())
		}
	}
	if pipe.Len() == 0 {
		return all, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	for i := range all {
		if read[i] != nil {
			all[i].text = types[i].Val() + " " + fmt.Sprint(read[i]()) // the fields of a map are printed in order
		}
	}
	return all, nil
}
