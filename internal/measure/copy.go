package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis/go-redis/v9"
)

const copied = 100_000 // keys

// mirrorOf returns a mirror to the ground's local, where the primary serves.
func (g *ground) mirrorOf() (*mirror.Mirror, *mirror.Copier, error) {
	v, err := g.drain.Store.Open(context.Background(), "")
	if err != nil {
		return nil, nil, err
	}
	m := mirror.New(mirror.Config{
		RDB: g.local, Name: "measure", Database: journal.DefaultDatabase, Process: "measure", Fence: v.Record.Fence,
	})
	m.Start()
	return m, &mirror.Copier{
		Primary: g.primary, Local: g.local, Mirror: m, Name: "measure", Database: journal.DefaultDatabase,
	}, nil
}

// user returns a client of local's home database, and what is there of the user's.
func (g *ground) user() *redis.Client { return redis.NewClient(g.servers[0].Options()) }

// synced compares a sync with a copy as one writes it by hand: SCAN, DUMP, RESTORE, in pipelines.
func synced(b *bench) error {
	head("100,000 keys", "copy by hand, keys/s", "sync, keys/s", "ratio", "95 %", "commands a key")
	for _, c := range []struct {
		name string
		fill func(redis.Pipeliner, int)
	}{
		{"strings of 100 bytes", func(pipe redis.Pipeliner, i int) { pipe.Set(noCtx, key(i), fmt.Sprintf("%0100d", i), 0) }},
		{"the same, each with an expiry", func(pipe redis.Pipeliner, i int) { pipe.Set(noCtx, key(i), fmt.Sprintf("%0100d", i), time.Hour) }},
		{"hashes of 8 fields, with an expiry", func(pipe redis.Pipeliner, i int) {
			for f := range 8 {
				pipe.HSet(noCtx, key(i), "field"+strconv.Itoa(f), strconv.Itoa(i*f))
			}
			pipe.Expire(noCtx, key(i), time.Hour)
		}},
	} {
		if err := beside(b, c.name, c.fill); err != nil {
			return err
		}
	}
	return nil
}

func beside(b *bench, name string, fill func(redis.Pipeliner, int)) error {
	g, err := newGround()
	if err != nil {
		return err
	}
	defer g.stop()
	if err := pipelines(g.primary, copied, fill); err != nil {
		return err
	}
	user := g.user()
	defer user.Close()
	var commands int64
	copies := []func() error{
		func() error { return byHand(g.primary, user) },
		func() error {
			m, c, err := g.mirrorOf()
			if err != nil {
				return err
			}
			defer func() { _ = m.Close(noCtx) }()
			r, err := c.Sync(noCtx, mirror.SyncOptions{Restart: true})
			commands = r.Commands
			if err == nil && (r.Copied != copied || !r.Complete) {
				err = fmt.Errorf("not whole: %+v", r)
			}
			return err
		},
	}
	var all, hand, ours []float64
	for i := range b.pairs {
		var rate [2]float64
		for j := range copies {
			k := (i + j) % 2
			if err := g.local.FlushAll(noCtx).Err(); err != nil {
				return err
			}
			began := time.Now()
			if err := copies[k](); err != nil {
				return err
			}
			rate[k] = copied / time.Since(began).Seconds()
			if n := user.DBSize(noCtx).Val(); n != copied {
				return fmt.Errorf("%d keys on local", n)
			}
		}
		hand, ours, all = append(hand, rate[0]), append(ours, rate[1]), append(all, rate[1]/rate[0])
	}
	m, low, high := ratios(all)
	fast, _, _ := ratios(hand)
	our, _, _ := ratios(ours)
	row(name, fmt.Sprintf("%.0f", fast), fmt.Sprintf("%.0f", our), fmt.Sprintf("%.2f", m), fmt.Sprintf("%.2f-%.2f", low, high),
		fmt.Sprintf("%.2f", float64(commands)/copied))
	return nil
}

// byHand copies all keys, with their expiry.
func byHand(from, to *redis.Client) error {
	for cursor := uint64(0); ; {
		keys, next, err := from.Scan(noCtx, cursor, "", 1000).Result()
		if err != nil {
			return err
		}
		pipe := from.Pipeline()
		dumps, expiries := make([]*redis.StringCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
		for i, key := range keys {
			dumps[i], expiries[i] = pipe.Dump(noCtx, key), pipe.PTTL(noCtx, key)
		}
		if _, err := pipe.Exec(noCtx); err != nil {
			return err
		}
		pipe = to.Pipeline()
		for i, key := range keys {
			pipe.RestoreReplace(noCtx, key, max(expiries[i].Val(), 0), dumps[i].Val())
		}
		if _, err := pipe.Exec(noCtx); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// pipelines does something n times in pipelines, and then something with the replies.
func pipelines(rdb *redis.Client, n int, do func(redis.Pipeliner, int), then ...func([]redis.Cmder)) error {
	for i := 0; i < n; {
		pipe := rdb.Pipeline()
		for range 1000 {
			if i == n {
				break
			}
			do(pipe, i)
			i++
		}
		cmds, err := pipe.Exec(noCtx)
		if err != nil {
			return err
		}
		for _, f := range then {
			f(cmds)
		}
	}
	return nil
}
