package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

// fighter is one goroutine of an application whose goroutines all write to the same few keys: ten of each
// type, and now and then one of many. What it is told is not written down: only in the end local is held
// against the primary.
type fighter struct {
	rdb *redis.Client
	rnd *rand.Rand
}

// pairs of a script that a user may have, and that nobody but the server knows the effect of.
const pairs = `redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]); return redis.call('INCR', KEYS[2])`

// run writes until stop is closed, with pauses of that length on average.
func (f *fighter) run(stop <-chan struct{}, pause time.Duration) {
	for {
		wait := time.NewTimer(time.Duration(f.rnd.ExpFloat64() * float64(pause)))
		select {
		case <-stop:
			wait.Stop()
			return
		case <-wait.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		f.next(ctx)
		cancel()
	}
}

// next does something. Whether it has failed does not matter: who knows what it has done then?
func (f *fighter) next(ctx context.Context) {
	many := func(pipe redis.Pipeliner) {
		for range 2 + f.rnd.IntN(4) {
			pipe.Do(ctx, f.write()...)
		}
	}
	switch f.rnd.IntN(12) {
	case 0:
		pipe := f.rdb.Pipeline()
		many(pipe)
		_, _ = pipe.Exec(ctx)
	case 1:
		pipe := f.rdb.TxPipeline()
		many(pipe)
		_, _ = pipe.Exec(ctx)
	case 2:
		key := f.key("s")
		_ = f.rdb.Watch(ctx, func(tx *redis.Tx) error {
			old := tx.Get(ctx, key).Val()
			_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Set(ctx, key, old[:min(len(old), 8)]+"w", 0)
				many(pipe)
				return nil
			})
			return err
		}, key)
	case 3:
		_ = f.rdb.Eval(ctx, pairs, []string{f.key("h"), f.key("n")}, f.rnd.IntN(5), f.rnd.IntN(100)).Err()
	default:
		_ = f.rdb.Do(ctx, f.write()...).Err()
	}
}

// key returns a key of a kind: string, string that expires, number, hash, list, set, sorted set or stream.
// The ten are written so often that everything may hide behind what comes next, or behind the end of a
// process that died; what is wrong with one of the others stays.
func (f *fighter) key(kind string) string {
	if f.rnd.IntN(4) == 0 {
		return fmt.Sprintf("%s:%d", kind, 10+f.rnd.IntN(1000))
	}
	return fmt.Sprintf("%s:%d", kind, f.rnd.IntN(10))
}

// write makes one write. Each kind is made, changed and deleted, by what makes a key whole and what
// changes a part of it. Strings that expire within the run are of a kind of their own, whose expiry nothing
// moves: where local moves one that has passed on the primary by the time it is delivered, the primary has
// no such key any more, and that is not the mirror's to mend.
func (f *fighter) write() []any {
	v := f.rnd.IntN(100)
	writes := [...]func() []any{
		func() []any { return []any{"set", f.key("s"), v} },
		func() []any { return []any{"set", f.key("e"), v, "px", 300 + 20*v} },
		func() []any { return []any{"append", f.key("e"), v} },
		func() []any { return []any{"set", f.key("s"), v, "ex", 1000} },
		func() []any { return []any{"append", f.key("s"), v} },
		func() []any { return []any{"mset", f.key("s"), v, f.key("s"), v + 1} },
		func() []any { return []any{"getdel", f.key("s")} },
		func() []any { return []any{"rename", f.key("s"), f.key("s")} },
		func() []any { return []any{"persist", f.key("s")} },
		func() []any { return []any{"expire", f.key("s"), 500} },
		func() []any { return []any{"incr", f.key("n")} },
		func() []any { return []any{"incr", f.key("n")} },
		func() []any { return []any{"decrby", f.key("n"), v} },
		func() []any { return []any{"set", f.key("n"), 0, "nx"} },
		func() []any { return []any{"set", f.key("n"), v} },
		func() []any { return []any{"hset", f.key("h"), v % 5, v} },
		func() []any { return []any{"hset", f.key("h"), v % 5, v} },
		func() []any { return []any{"hdel", f.key("h"), v % 5} },
		func() []any { return []any{"hincrby", f.key("h"), "n", v} },
		func() []any { return []any{"expire", f.key("h"), 500} },
		func() []any { return []any{"rpush", f.key("l"), v} },
		func() []any { return []any{"lpush", f.key("l"), v, v} },
		func() []any { return []any{"lpop", f.key("l")} },
		func() []any { return []any{"lmove", f.key("l"), f.key("l"), "left", "right"} },
		func() []any { return []any{"ltrim", f.key("l"), 0, 20} },
		func() []any { return []any{"sadd", f.key("t"), v} },
		func() []any { return []any{"spop", f.key("t")} },
		func() []any { return []any{"sunionstore", f.key("t"), f.key("t"), f.key("t")} },
		func() []any { return []any{"zadd", f.key("z"), v, v % 7} },
		func() []any { return []any{"zincrby", f.key("z"), 1, v % 7} },
		func() []any { return []any{"zpopmin", f.key("z")} },
		func() []any { return []any{"xadd", f.key("x"), "*", "f", v} },
		func() []any { return []any{"xtrim", f.key("x"), "maxlen", 20} },
	}
	// Seldom: what makes a key whole puts right what was wrong with it.
	if f.rnd.IntN(200) == 0 {
		return []any{"del", f.key(kinds[v%len(kinds)])}
	}
	return writes[f.rnd.IntN(len(writes))]()
}

var kinds = [...]string{"s", "e", "n", "h", "l", "t", "z", "x"}
