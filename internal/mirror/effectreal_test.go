package mirror_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis-fallback/fallback/internal/redistest"
)

// TestEffectsKeepASecondServerEqual does random calls on a primary, and their effects on a second
// server. Half of the times both begin empty, so that it knows what is absent; half of the times it
// begins late and knows nothing. What it has then equals the primary, and what it has not is what it
// never knew or what some effect called unsure.
func TestEffectsKeepASecondServerEqual(t *testing.T) {
	t.Parallel()
	// What is trimmed with ~ depends on the size of a stream's nodes.
	primary, local := redistest.Start(t, "--stream-node-max-entries", "3"), redistest.Start(t)
	seeds := 30
	if testing.Short() {
		seeds = 5
	}
	var keys, held int
	for seed := range seeds {
		p := newPair(t, primary, local, uint64(seed))
		if seed%2 == 1 {
			for range 50 {
				p.step(t, false)
			}
			p.forget()
		}
		for range 150 {
			p.step(t, true)
		}
		k, h := p.compare(t)
		keys, held = keys+k, held+h
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d keys, %d of them on the second server", keys, held)
	if held*3 < keys {
		t.Errorf("%d of %d keys are on the second server: too much is unsure", held, keys)
	}
}

// pair is a primary and a second server, in the databases 0, which is the home of both, and 3.
type pair struct {
	*generator
	primary map[string][2]*redis.Client // by RESP version
	local   *applier
	slowest time.Duration // how much later than a call began its relative expiries may have begun
	history []string
}

var databases = map[string]int{"": 0, "3": 3}

func newPair(t *testing.T, primary, local *redistest.Server, seed uint64) *pair {
	t.Helper()
	client := func(s *redistest.Server, db, protocol int) *redis.Client {
		options := s.Options()
		options.DB, options.Protocol, options.MaxRetries = db, protocol, -1
		rdb := redis.NewClient(options)
		t.Cleanup(func() { _ = rdb.Close() })
		return rdb
	}
	p := &pair{primary: map[string][2]*redis.Client{}, local: &applier{map[string]*redis.Client{}, map[string]bool{}}}
	for name, db := range databases {
		p.primary[name] = [2]*redis.Client{client(primary, db, 2), client(primary, db, 3)}
		p.local.rdb[name] = client(local, db, 3)
	}
	p.local.rdb["0"] = p.local.rdb[""]
	p.generator = newGenerator(seed, p.primary[""][0])
	for _, rdb := range []*redis.Client{p.rdb, p.local.rdb[""]} {
		if err := rdb.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// forget makes all keys unsure.
func (p *pair) forget() {
	for db := range databases {
		for _, kind := range "scphlezgx" {
			for i := range 2 {
				p.local.unsure[fmt.Sprintf("%s/%c%d", db, kind, i)] = true
			}
		}
	}
}

// step does a call, a pipeline or a transaction, and its effects if the second server is to follow.
func (p *pair) step(t *testing.T, follow bool) {
	t.Helper()
	ctx := t.Context()
	db := ""
	if p.IntN(8) == 0 {
		db = "3"
	}
	rdb := p.primary[db][p.IntN(2)]
	n := 1
	if p.IntN(4) == 0 {
		n += p.IntN(4)
	}
	cmds := make([]redis.Cmder, n)
	for i := range cmds {
		args := p.next(ctx)
		if cmds[i] = typed(ctx, args); p.IntN(3) == 0 {
			cmds[i] = redis.NewCmd(ctx, args...)
		}
	}
	began := time.Now()
	if n == 1 {
		_ = rdb.Process(ctx, cmds[0])
	} else {
		pipe := rdb.Pipeline()
		if p.IntN(2) == 0 {
			pipe = rdb.TxPipeline()
		}
		for _, cmd := range cmds {
			_ = pipe.Process(ctx, cmd)
		}
		_, _ = pipe.Exec(ctx)
	}
	p.slowest = max(p.slowest, time.Since(began))
	if !follow {
		return
	}
	for _, cmd := range cmds {
		var ops mirror.Ops
		ops.Effect(db, cmd, began.UnixMilli())
		p.history = append(p.history, fmt.Sprintf("%s %.300q %T > %.300q", db, cmd.String(), cmd, opsText(&ops)))
		for op := range ops.All {
			if err := p.local.apply(ctx, op); err != nil {
				t.Fatalf("%c %s %.300q: %v\n%s", op.Kind, op.Key, op.Args, err, p.about(op.Key))
			}
		}
	}
}

// about is the history of a key.
func (p *pair) about(key string) string {
	var lines []string
	for _, line := range p.history {
		if strings.Contains(line, key) || strings.Contains(line, "flush") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}

// compare returns how many keys the primary has, and how many of them local has.
func (p *pair) compare(t *testing.T) (keys, held int) {
	t.Helper()
	ctx := t.Context()
	for db, local := range p.local.rdb {
		if db == "0" {
			continue
		}
		primary := p.primary[db][1]
		there, here := primary.Keys(ctx, "*").Val(), local.Keys(ctx, "*").Val()
		keys, held = keys+len(there), held+len(here)
		for _, key := range here {
			if p.local.unsure[db+"/"+key] {
				t.Errorf("%s/%s is unsure and there", db, key)
			}
		}
		all := slices.Sorted(slices.Values(slices.Concat(there, here)))
		for _, key := range slices.Compact(all) {
			if !slices.Contains(here, key) {
				if !p.local.unsure[db+"/"+key] {
					t.Errorf("%s/%s is absent, and nothing said that it is unsure\n%s", db, key, p.about(key))
				}
				continue
			}
			want, got := contentOf(ctx, primary, key), contentOf(ctx, local, key)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s/%s: %v, the primary has %v\n%s", db, key, got, want, p.about(key))
			}
			at, wantAt := local.PExpireTime(ctx, key).Val(), primary.PExpireTime(ctx, key).Val()
			if later := wantAt - at; later < 0 || later > p.slowest+5*time.Millisecond || (at < 0) != (wantAt < 0) {
				t.Errorf("%s/%s expires at %v, on the primary at %v\n%s", db, key, at, wantAt, p.about(key))
			}
		}
	}
	return keys, held
}

// contentOf is a key's type and value, without what depends on clocks.
func contentOf(ctx context.Context, rdb *redis.Client, key string) []any {
	kind := rdb.Type(ctx, key).Val()
	switch kind {
	case "string":
		return []any{kind, rdb.Get(ctx, key).Val()}
	case "hash":
		return []any{kind, rdb.HGetAll(ctx, key).Val()}
	case "list":
		return []any{kind, rdb.LRange(ctx, key, 0, -1).Val()}
	case "set":
		members := rdb.SMembers(ctx, key).Val()
		slices.Sort(members)
		return []any{kind, members}
	case "zset":
		return []any{kind, rdb.ZRangeWithScores(ctx, key, 0, -1).Val()}
	case "stream":
		info := rdb.XInfoStreamFull(ctx, key, 1000).Val()
		info.RadixTreeKeys, info.RadixTreeNodes = 0, 0
		for i := range info.Groups {
			g := &info.Groups[i]
			for j := range g.Pending {
				g.Pending[j].DeliveryTime = time.Time{}
			}
			for j := range g.Consumers {
				c := &g.Consumers[j]
				c.SeenTime, c.ActiveTime = time.Time{}, time.Time{}
				for k := range c.Pending {
					c.Pending[k].DeliveryTime = time.Time{}
				}
			}
		}
		return []any{kind, fmt.Sprintf("%+v", *info)}
	}
	return []any{kind}
}
