package check

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis-fallback/fallback/internal/crash/history"
	"github.com/redis/go-redis/v9"
)

// ReadFinal reads everything that the application's keys hold on the primary.
func ReadFinal(ctx context.Context, rdb *redis.Client) (*Final, error) {
	f := &Final{
		At: time.Now().UnixMilli(), Strings: map[string]string{}, Lists: map[string][]string{}, Sets: map[string]map[string]bool{},
		Hashes: map[string]map[string]string{}, Streams: map[string][]Message{}, Expires: map[string]int64{},
	}
	keys, err := allKeys(ctx, rdb)
	if err != nil {
		return nil, err
	}
	for len(keys) > 0 {
		n := min(len(keys), 500)
		if err := f.read(ctx, rdb, keys[:n]); err != nil {
			return nil, err
		}
		keys = keys[n:]
	}
	return f, nil
}

func allKeys(ctx context.Context, rdb *redis.Client) ([]string, error) {
	seen := map[string]bool{}
	var keys []string
	it := rdb.Scan(ctx, 0, "*", 1000).Iterator()
	for it.Next(ctx) {
		k := it.Val()
		if seen[k] || strings.HasPrefix(k, "fallback:") || strings.HasPrefix(k, "crash:") || k == history.ClashKey {
			continue
		}
		seen[k] = true
		keys = append(keys, k)
	}
	return keys, it.Err()
}

func (f *Final) read(ctx context.Context, rdb *redis.Client, keys []string) error {
	pipe := rdb.Pipeline()
	types, expires := make([]*redis.StatusCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
	for i, k := range keys {
		types[i], expires[i] = pipe.Type(ctx, k), pipe.PExpireTime(ctx, k)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("reading the types of keys: %w", err)
	}
	var after []func()
	for i, k := range keys {
		if d := expires[i].Val(); d > 0 {
			f.Expires[k] = d.Milliseconds()
		}
		switch types[i].Val() {
		case "string":
			v := pipe.Get(ctx, k)
			after = append(after, func() {
				switch {
				case v.Err() != nil: // it may have expired by now
				case strings.HasPrefix(k, "text:"): // values, one after the other
					for one := range strings.SplitAfterSeq(strings.TrimSuffix(v.Val(), ";"), ";") {
						f.Lists[k] = append(f.Lists[k], strings.TrimSuffix(one, ";")+";")
					}
				default:
					f.Strings[k] = v.Val()
				}
			})
		case "list":
			v := pipe.LRange(ctx, k, 0, -1)
			after = append(after, func() { f.Lists[k] = v.Val() })
		case "set":
			v := pipe.SMembersMap(ctx, k)
			after = append(after, func() {
				f.Sets[k] = map[string]bool{}
				for m := range v.Val() {
					f.Sets[k][m] = true
				}
			})
		case "zset":
			v := pipe.ZRange(ctx, k, 0, -1)
			after = append(after, func() {
				f.Sets[k] = map[string]bool{}
				for _, m := range v.Val() {
					f.Sets[k][m] = true
				}
			})
		case "hash":
			v := pipe.HGetAll(ctx, k)
			after = append(after, func() {
				if len(v.Val()) > 0 {
					f.Hashes[k] = v.Val()
				}
			})
		case "stream":
			v := pipe.XRange(ctx, k, "-", "+")
			after = append(after, func() {
				for _, m := range v.Val() {
					value, _ := m.Values["v"].(string)
					f.Streams[k] = append(f.Streams[k], Message{m.ID, value})
				}
			})
		case "none":
		default:
			return fmt.Errorf("%s is a %s", k, types[i].Val())
		}
	}
	if len(after) == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
		return fmt.Errorf("reading keys: %w", err)
	}
	for _, do := range after {
		do()
	}
	return nil
}

// ReadLetters reads the dead letters that local keeps. The client must be in the database of the
// record.
func ReadLetters(ctx context.Context, local *redis.Client, name string) ([]Letter, error) {
	all, err := local.HGetAll(ctx, "fallback:"+name+":dead").Result()
	if err != nil {
		return nil, fmt.Errorf("reading the dead letters: %w", err)
	}
	letters := make([]Letter, 0, len(all))
	for id, payload := range all {
		letters = append(letters, Letter{id, payload})
	}
	return letters, nil
}
