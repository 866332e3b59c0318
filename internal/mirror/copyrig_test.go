package mirror_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// copyRig is a primary with keys and a local to copy them to, both real servers.
type copyRig struct {
	t              testing.TB
	ctx            context.Context
	primary, local *redis.Client
	copier         *mirror.Copier
	target         *target
}

func newCopyRig(tb testing.TB) *copyRig {
	tb.Helper()
	p, l := redistest.Start(tb), redistest.Start(tb)
	r := &copyRig{t: tb, ctx: context.Background(), primary: p.Client(tb), local: l.Client(tb)}
	opts := l.Options()
	opts.DB = 15
	ours := redis.NewClient(opts)
	tb.Cleanup(func() { _ = ours.Close() })
	r.target = &target{local: ours, what: map[string]mirror.Loaded{}}
	r.copier = &mirror.Copier{
		Primary: p.Client(tb), Local: ours, Mirror: r.target, Name: "test", Database: 15,
		Refused: func(err error) bool { return strings.Contains(err.Error(), "limit exceeded") },
	}
	return r
}

func (r *copyRig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// target loads what it is given, whatever is on local, unless it is told what to answer.
type target struct {
	local *redis.Client

	mu      sync.Mutex
	what    map[string]mirror.Loaded // for keys
	noDumps bool
	missed  bool
	loads   int
	tracked int
	after   func(loads int)
}

func (d *target) Load(ctx context.Context, items []mirror.Item) ([]mirror.Loaded, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]mirror.Loaded, len(items))
	for i := range items {
		it := &items[i]
		if l, ok := d.what[it.Key]; ok {
			all[i] = l
			continue
		}
		if d.noDumps && it.Dump != "" {
			all[i] = mirror.Refused
			continue
		}
		db := "0"
		if it.DB != "" {
			db = it.DB
		}
		pipe := d.local.TxPipeline()
		pipe.Do(ctx, "select", db)
		pipe.Del(ctx, it.Key)
		switch {
		case it.Absent:
		case it.Dump != "":
			pipe.Restore(ctx, it.Key, it.TTL, it.Dump)
		default:
			for _, c := range it.Commands {
				args := make([]any, len(c))
				for i := range c {
					args[i] = c[i]
				}
				pipe.Do(ctx, args...)
			}
			if it.TTL > 0 {
				pipe.PExpire(ctx, it.Key, it.TTL)
			}
		}
		pipe.Do(ctx, "select", 15)
		pipe.SRem(ctx, d.UnsureKey(), it.DB+"|"+it.Key)
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, fmt.Errorf("%q: %w", it.Key, err)
		}
	}
	d.loads++
	if d.after != nil {
		d.after(d.loads)
	}
	return all, nil
}

func (d *target) Track(ctx context.Context) (bool, error) {
	d.tracked++
	d.local.Del(ctx, d.UnsureKey())
	return true, d.local.HSet(ctx, "fallback:test:mirror:meta", "complete", 0).Err()
}

func (d *target) Complete(ctx context.Context) (bool, error) {
	if d.missed {
		return false, nil
	}
	return true, d.local.HSet(ctx, "fallback:test:mirror:meta", "complete", 1).Err()
}
func (*target) Flush(context.Context) error            { return nil }
func (*target) Adopt(context.Context, ...string) error { return nil }
func (*target) MetaKey() string                        { return "fallback:test:mirror:meta" }
func (*target) UnsureKey() string                      { return "fallback:test:mirror:unsure" }

// fill makes keys of every type.
func (r *copyRig) fill(rdb *redis.Client) {
	r.t.Helper()
	const script = `
redis.call('SET', 'plain', 'value')
redis.call('SET', 'empty', '')
redis.call('SET', 'number', '42')
redis.call('SET', 'binary\0key\255\r\n', 'binary\0value\255\r\n')
redis.call('SET', '', 'of the empty name')
redis.call('SET', 'expires', 'v', 'PX', '86400000')
redis.call('SET', 'long', string.rep('x', 700000))
redis.call('SETRANGE', 'parts', 256 * 1024 - 1, 'y')
for i = 1, 2500 do
  redis.call('HSET', 'hash', 'f' .. i, 'v' .. i)
  redis.call('SADD', 'set', 'm' .. i)
  redis.call('ZADD', 'zset', i / 7, 'm' .. i)
  redis.call('RPUSH', 'list', 'e' .. i)
  redis.call('XADD', 'stream', i .. '-1', 'f', 'v' .. i)
end
redis.call('RPUSH', 'listof1000', unpack((function() local t = {} for i = 1, 1000 do t[i] = i end return t end)()))
redis.call('HSET', 'small hash', 'a', '1', 'b', '2')
redis.call('PEXPIRE', 'small hash', '86400000')
redis.call('SADD', 'intset', '3', '1', '2')
redis.call('SADD', 'small set', 'x', 'y')
redis.call('ZADD', 'infinite', 'inf', 'a', '-inf', 'b', '0.1', 'c', '-0', 'd')
redis.call('PFADD', 'hll', 'a', 'b')
redis.call('SETBIT', 'bits', '1000', '1')
redis.call('GEOADD', 'geo', '13.4', '52.5', 'Berlin')
redis.call('XADD', 'emptied', '5-5', 'f', 'v')
redis.call('XDEL', 'emptied', '5-5')
redis.call('XGROUP', 'CREATE', 'bare', 'g', '$', 'MKSTREAM')
redis.call('XGROUP', 'CREATE', 'stream', 'g', '10-1')
redis.call('XGROUP', 'CREATE', 'stream', 'other', '0')
redis.call('XREADGROUP', 'GROUP', 'g', 'c1', 'COUNT', '1500', 'STREAMS', 'stream', '>')
redis.call('XREADGROUP', 'GROUP', 'g', 'c2', 'COUNT', '3', 'STREAMS', 'stream', '>')
redis.call('XGROUP', 'CREATECONSUMER', 'stream', 'g', 'idle')
redis.call('XACK', 'stream', 'g', '12-1')
redis.call('XDEL', 'stream', '7-1', '2500-1')
`
	r.check(rdb.Eval(r.ctx, script+"return 1", nil).Err())
}

// contents writes down what a server holds in a database, as its own commands show it.
func (r *copyRig) contents(rdb *redis.Client, db int) map[string]string {
	r.t.Helper()
	opts := *rdb.Options()
	opts.DB, opts.Protocol = db, 2
	c := redis.NewClient(&opts)
	defer c.Close()
	m := map[string]string{}
	keys, err := c.Keys(r.ctx, "*").Result()
	r.check(err)
	const show = `
local k, kind = KEYS[1], redis.call('TYPE', KEYS[1]).ok
if kind == 'string' then return redis.call('GET', k) end
local r
if kind == 'hash' then r = redis.call('HGETALL', k); local t = {} for i = 1, #r, 2 do t[#t + 1] = r[i] .. '=' .. r[i + 1] end table.sort(t); r = t end
if kind == 'set' then r = redis.call('SMEMBERS', k); table.sort(r) end
if kind == 'zset' then r = redis.call('ZRANGE', k, 0, -1, 'WITHSCORES') end
if kind == 'list' then r = redis.call('LRANGE', k, 0, -1) end
if kind == 'stream' then
  r = { cjson.encode(redis.call('XRANGE', k, '-', '+')) }
  local s = redis.call('XINFO', 'STREAM', k)
  for i = 1, #s, 2 do
    if s[i] == 'length' or s[i] == 'last-generated-id' or s[i] == 'max-deleted-entry-id' or s[i] == 'entries-added' then r[#r + 1] = s[i] .. tostring(s[i + 1]) end
  end
  for _, g in ipairs(redis.call('XINFO', 'GROUPS', k)) do
    r[#r + 1] = cjson.encode(g)
    for _, p in ipairs(redis.call('XPENDING', k, g[2], '-', '+', 100000)) do r[#r + 1] = p[1] .. p[2] .. tostring(p[4]) end
    for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', k, g[2])) do r[#r + 1] = c[2] .. tostring(c[4]) end
  end
end
return kind .. ':' .. table.concat(r, ' ')`
	script := redis.NewScript(show)
	for _, key := range keys {
		text, err := script.Run(r.ctx, c, []string{key}).Text()
		r.check(err)
		if c.PTTL(r.ctx, key).Val() > 0 {
			text += " (expires)"
		}
		m[key] = text
	}
	return m
}

// same checks that local holds what the primary holds in a database.
func (r *copyRig) same(db int, but ...string) {
	r.t.Helper()
	want, got := r.contents(r.primary, db), r.contents(r.local, db)
	for _, key := range but {
		delete(want, key)
	}
	for key, v := range want {
		if got[key] != v {
			r.t.Errorf("database %d: %q on local is %.100q, want %.100q", db, key, got[key], v)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			r.t.Errorf("database %d: local alone has %q", db, key)
		}
	}
}
