package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// field is a pair of real servers and what reaches them past every hook.
type field struct {
	protocol int
	servers  [2]*redistest.Server // by fallback.Backend
	control  [2]*redis.Client
}

func newField(t *testing.T, protocol int) *field {
	t.Helper()
	f := &field{protocol: protocol}
	args := append([]string{"--enable-debug-command", "yes", "--enable-module-command", "yes"}, forbidden...)
	for i := range f.servers {
		f.servers[i] = redistest.Start(t, args...)
		f.control[i] = f.servers[i].Client(t)
	}
	return f
}

func (f *field) options(b fallback.Backend) *redis.Options {
	o := f.servers[b].Options()
	o.Protocol = f.protocol
	return o
}

// rig is a client under test.
type rig struct {
	c    redis.Cmdable
	gate *gate          // before the primary
	h    *fallback.Hook // nil of a bare client
	stop func()
}

// mode is a way to run the table: another one needs another row, and nothing else.
type mode struct {
	name  string
	build func(f *field) *rig
	home  bool         // the primary serves before the call
	ready func(r *rig) // brings the client to where the call shall meet it
	// served says who answers a command: the server, or nobody, which is a LimitError.
	served func(stays bool) (by fallback.Backend, refused bool)
	// touches says whether the primary hears of a command that may be answered elsewhere.
	touches bool
	// split: the primary answers the first command of a batch, the neighbour before the call.
	split  bool
	shapes []shape          // if not all
	after  fallback.Backend // which server serves after a call
}

func byPrimary(bool) (fallback.Backend, bool) { return fallback.Primary, false }

func byLocal(stays bool) (fallback.Backend, bool) { return fallback.Local, stays }

// modes begins with what all others are compared with.
var modes = []*mode{
	{name: "bare", build: bareRig, ready: func(*rig) {}, served: byPrimary, touches: true},
	{name: "primary serves", build: hookedRig, ready: func(*rig) {}, served: byPrimary, touches: true},
	{name: "over quota", build: overQuotaRig, ready: func(*rig) {}, served: byLocal, after: fallback.Local},
	{name: "quota hits", build: hookedRig, home: true, ready: quotaHits, served: byLocal, touches: true, after: fallback.Local},
	{
		name: "quota hits inside", build: hookedRig, home: true, ready: quotaHitsInside, served: byLocal, touches: true, after: fallback.Local,
		split: true, shapes: []shape{pipeline, transaction},
	},
}

func (m *mode) takes(as shape) bool { return m.shapes == nil || slices.Contains(m.shapes, as) }

func bareRig(f *field) *rig {
	r := &rig{gate: &gate{}}
	o := f.options(fallback.Primary)
	r.gate.guard(o)
	rdb := redis.NewClient(o)
	r.c, r.stop = rdb, func() { _ = rdb.Close() }
	r.warm()
	return r
}

func hookedRig(f *field) *rig {
	r := &rig{gate: &gate{}}
	o := f.options(fallback.Primary)
	r.gate.guard(o)
	rdb, local := redis.NewClient(o), redis.NewClient(f.options(fallback.Local))
	r.h = quietHook(local)
	rdb.AddHook(r.h)
	r.c = rdb
	r.stop = func() {
		_ = r.h.Shutdown(context.Background())
		_ = rdb.Close()
		_ = local.Close()
	}
	r.warm()
	return r
}

// warm sets up a connection in each of the two pools.
func (r *rig) warm() {
	_ = r.c.Echo(ctx, "").Err()
	_, _ = r.c.Pipelined(ctx, func(p redis.Pipeliner) error { return p.Echo(ctx, "").Err() })
}

var rigs atomic.Int64

func quietHook(local *redis.Client) *fallback.Hook {
	return fallback.New(local, fallback.WithName(fmt.Sprint("rig", rigs.Add(1))), // each has local for itself
		fallback.WithLogger(slog.New(slog.DiscardHandler)), fallback.WithLocalCheck(-1), fallback.WithHang(-1, 0))
}

func overQuotaRig(f *field) *rig {
	r := hookedRig(f)
	r.gate.shut.Store(true)
	_ = r.c.Ping(ctx).Err()
	return r
}

// quotaHits has the primary serve, over connections that are set up, and refuse from now on.
func quotaHits(r *rig) { r.gate.shut.Store(true) }

// home has the primary serve again, with nothing left in the journal.
func home(t *testing.T, r *rig) {
	t.Helper()
	r.gate.pass.Store(0)
	r.gate.shut.Store(false)
	if err := r.h.Pin(fallback.Primary); err != nil {
		t.Fatal(err)
	}
	if err := r.h.Unpin(); err != nil {
		t.Fatal(err)
	}
	if r.h.Serving() != fallback.Primary {
		t.Fatalf("the primary does not serve again: %+v", r.h.Status())
	}
}

// quotaHitsInside refuses from the second command on.
func quotaHitsInside(r *rig) {
	quotaHits(r)
	r.gate.pass.Store(1)
}

// fixture is the data that every call meets, on both servers alike.
const fixture = `
for db = 0, 14 do redis.call('SELECT', db) redis.call('FLUSHDB') end -- the journal lies in 15
redis.call('SELECT', 0)
local lines = {
	{'MSET', 's', 'hello', 's2', 'yellow', 'n', 10, 'f', '3.5', 'e', 'expires', 'v', 'soon', 'w_1', 30, 'w_2', 20, 'w_3', 10},
	{'PEXPIREAT', 'e', '4102444800123'}, {'EXPIRE', 'v', 1000},
	{'RPUSH', 'l', 'a', 'b', 'c', 'b', 'd'}, {'RPUSH', 'l2', 'x', 'y'}, {'RPUSH', 'sl', 3, 1, 2},
	{'SADD', 'i1', 1, 2, 3, 4}, {'SADD', 'i2', 3, 4, 5}, {'SADD', 'words', 'one', 'two', 'three'}, {'SADD', 'single', 'only'},
	{'HSET', 'h', 'f1', 'v1', 'f2', 'v2', 'n', 5}, {'HSET', 'h1', 'f', 'v'},
	{'ZADD', 'z', 1, 'a', 2, 'b', 3.25, 'c', 4, 'd'}, {'ZADD', 'z2', 20, 'b', 30, 'c', 50, 'e'},
	{'ZADD', 'zl', 0, 'a', 0, 'b', 0, 'c', 0, 'd'}, {'ZADD', 'z1', 7, 'only'}, {'ZADD', 'zi', 'inf', 'inf'},
	{'GEOADD', 'geo', 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania'},
	{'PFADD', 'p1', 'a', 'b', 'c'}, {'PFADD', 'p2', 'c', 'd'},
	{'XADD', 'x', '1-1', 'f', 'a'}, {'XADD', 'x', '2-1', 'f', 'b', 'g', 'h'}, {'XADD', 'x', '3-1', 'f', 'c'}, {'XADD', 'x2', '5-1', 'f', 'z'},
	{'XGROUP', 'CREATE', 'x', 'g', '0'}, {'XREADGROUP', 'GROUP', 'g', 'c1', 'COUNT', '2', 'STREAMS', 'x', '>'},
}
for _, line in ipairs(lines) do redis.call(unpack(line)) end
return redis.status_reply('OK')`

// lay puts the fixture on both servers, and returns the digests of what they hold.
func (f *field) lay(t *testing.T, s *sample) (digests [2]string) {
	t.Helper()
	for i, c := range f.control {
		p := c.Pipeline()
		laid := p.Eval(ctx, fixture, nil)
		for _, line := range s.setup {
			p.Do(ctx, words(line)...)
		}
		_, _ = p.Exec(ctx) // some lines are there to fail
		if laid.Err() != nil {
			t.Fatalf("%s: the fixture: %v", s.method, laid.Err())
		}
		digests[i] = digest(t, c)
	}
	return digests
}

// holds returns the digests of what the servers hold, with n1 and without.
func (f *field) holds(t *testing.T, s *sample) (digests, rest [2]string) {
	t.Helper()
	for i, c := range f.control {
		digests[i] = digest(t, c)
		p := c.Pipeline()
		p.Del(ctx, "n1")
		_, err := p.Exec(ctx)
		rest[i] = digest(t, c)
		for _, line := range s.cleanup {
			if cerr := c.Do(ctx, words(line)...).Err(); cerr != nil {
				err = cerr
			}
		}
		if err != nil {
			t.Fatalf("%s: looking at the servers: %v", s.method, err)
		}
	}
	return digests, rest
}

// everything is what DEBUG DIGEST would look at, but for the journal.
const everything = `
local all = {}
for db = 0, 14 do
	redis.call('SELECT', db)
	local keys = redis.call('KEYS', '*')
	table.sort(keys)
	if #keys > 0 then all[#all + 1] = {tostring(db), keys} end
end
return all`

// digest names all that a server holds, the journal left out.
func digest(t *testing.T, c *redis.Client) string {
	t.Helper()
	all, err := c.Eval(ctx, everything, nil).Slice()
	if err != nil {
		t.Fatal(err)
	}
	p := c.Pipeline()
	for _, db := range all {
		db := db.([]any)
		p.Do(ctx, "select", db[0])
		p.Do(ctx, append([]any{"debug", "digest-value"}, db[1].([]any)...)...)
		for _, key := range db[1].([]any) {
			p.Do(ctx, "exists", key)
			p.Do(ctx, "eval", "return redis.call('PTTL', KEYS[1]) > 0", 1, key)
		}
	}
	p.Do(ctx, "select", 0)
	cmds, err := p.Exec(ctx)
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, cmd := range cmds {
		fmt.Fprintln(&b, cmd)
	}
	return b.String()
}

func words(line string) []any {
	parts := strings.Split(line, " ")
	args := make([]any, len(parts))
	for i, p := range parts {
		args[i] = p
		if text, ok := placeholders[p]; ok {
			args[i] = text
		}
	}
	return args
}
