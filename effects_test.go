package fallback_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// trio is a program with the hook between two servers, and a third one that a bare client asks the same.
type trio struct {
	primary, local, third *redis.Client // past the hook
	rdb                   *redis.Client
	bare                  *redis.Client
	h                     *fallback.Hook
	name                  string
}

const (
	putScript  = "return redis.call('SET', KEYS[1], ARGV[1], 'EX', 1000)"
	halfScript = "redis.call('SET', KEYS[1], ARGV[1]) return redis.error_reply('ERR half of it')"
	putLibrary = "#!lua name=lib\nredis.register_function('put', function(k, a) return redis.call('SET', k[1], a[1]) end)"
)

func newTrio(t *testing.T, protocol int, opts ...fallback.Option) *trio {
	t.Helper()
	debug := []string{"--enable-debug-command", "yes"}
	a, b, c := redistest.Start(t, debug...), redistest.Start(t, debug...), redistest.Start(t, debug...)
	client := func(s *redistest.Server) *redis.Client {
		o := s.Options()
		o.Protocol = protocol
		rdb := redis.NewClient(o)
		t.Cleanup(func() { _ = rdb.Close() })
		return rdb
	}
	x := &trio{primary: a.Client(t), local: b.Client(t), third: c.Client(t), rdb: client(a), bare: client(c), name: t.Name()}
	x.h = fallback.New(client(b), append([]fallback.Option{cold(), fallback.WithLogger((&lines{}).logger()), fallback.WithName(x.name)}, opts...)...)
	x.rdb.AddHook(x.h)
	t.Cleanup(func() { _ = x.h.Shutdown(ctx) })
	for _, s := range x.servers() {
		s.ScriptLoad(ctx, putScript)
		s.FunctionLoad(ctx, putLibrary)
	}
	return x
}

func (x *trio) servers() [3]*redis.Client { return [...]*redis.Client{x.primary, x.local, x.third} }

func (x *trio) pin(t *testing.T, b fallback.Backend) {
	t.Helper()
	if err := x.h.Pin(b); err != nil || x.h.Serving() != b {
		t.Fatalf("Pin(%v): %v; %v serves", b, err, x.h.Serving())
	}
}

// entries is how many entries the journal has.
func (x *trio) entries(t *testing.T) int64 {
	t.Helper()
	p := x.local.Pipeline()
	p.Do(ctx, "select", 15)
	n := p.XLen(ctx, "fallback:"+x.name+":journal")
	p.Do(ctx, "select", 0)
	if _, err := p.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	return n.Val()
}

// line makes a call of its text.
func (x *trio) line(key, text string) []any {
	parts := strings.Fields(text)
	args := make([]any, len(parts))
	for i, p := range parts {
		switch p {
		case "K":
			p = key
		case "L":
			p = key + "'s other"
		case "PUT":
			p = putScript
		case "HALF":
			p = halfScript
		case "SHA":
			p = redis.NewScript(putScript).Hash()
		case "PAYLOAD":
			p = x.primary.Dump(ctx, "payload").Val()
		}
		args[i] = p
	}
	return args
}

// seed makes keys on all three servers, in a database.
func (x *trio) seed(t *testing.T, db int) {
	t.Helper()
	for _, s := range x.servers() {
		s.Set(ctx, "payload", "v", 0)
	}
	for _, s := range x.servers() {
		p := s.Pipeline()
		p.Do(ctx, "select", db)
		for _, e := range effects {
			for text := range strings.SplitSeq(e.seed, ";") {
				if strings.TrimSpace(text) != "" {
					p.Do(ctx, x.line(e.name, text)...)
				}
			}
		}
		p.Do(ctx, "select", 0)
		if _, err := p.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// way is how the calls of a table are made.
type way struct {
	name string
	db   int
	tx   bool // what cannot be queued is left out
	pure bool // and scripts
	// loose: with a script in it, or by hand, the transaction is written down as it was given: the outcome
	// of what chance or a clock is in, or what fails by the value it meets, is not the same then.
	loose bool
	send  func(rdb *redis.Client, lines [][]any) []string
}

func answered(v any, err error) string { return fmt.Sprintf("%v %v", v, err) }

func replies(cmds []redis.Cmder) []string {
	all := make([]string, len(cmds))
	for i, cmd := range cmds {
		all[i] = answered(cmd.(*redis.Cmd).Result())
	}
	return all
}

func queue(lines [][]any) func(redis.Pipeliner) error {
	return func(p redis.Pipeliner) error {
		for _, line := range lines {
			p.Do(ctx, line...)
		}
		return nil
	}
}

func byOne(do func(line []any) *redis.Cmd, lines [][]any) []string {
	all := make([]string, len(lines))
	for i, line := range lines {
		all[i] = answered(do(line).Result())
	}
	return all
}

func inOne(rdb *redis.Client, lines [][]any) []string {
	cmds, _ := rdb.TxPipelined(ctx, queue(lines))
	return replies(cmds)
}

var ways = []way{
	{name: "single", send: func(rdb *redis.Client, lines [][]any) []string {
		return byOne(func(line []any) *redis.Cmd { return rdb.Do(ctx, line...) }, lines)
	}},
	{name: "on a Conn", db: 3, send: func(rdb *redis.Client, lines [][]any) []string {
		conn := rdb.Conn()
		defer conn.Close()
		conn.Select(ctx, 3)
		return byOne(func(line []any) *redis.Cmd { return conn.Do(ctx, line...) }, lines)
	}},
	{name: "pipeline", send: func(rdb *redis.Client, lines [][]any) []string {
		cmds, _ := rdb.Pipelined(ctx, queue(lines))
		return replies(cmds)
	}},
	{name: "pipeline on a Conn", db: 3, send: func(rdb *redis.Client, lines [][]any) []string {
		conn := rdb.Conn()
		defer conn.Close()
		conn.Select(ctx, 3)
		cmds, _ := conn.Pipelined(ctx, queue(lines))
		return replies(cmds)
	}},
	{name: "transaction", tx: true, pure: true, send: inOne},
	{name: "transaction with scripts", tx: true, loose: true, send: inOne},
	{name: "transactions of one", tx: true, send: func(rdb *redis.Client, lines [][]any) []string {
		var all []string
		for i := range lines {
			cmds, _ := rdb.TxPipelined(ctx, queue(lines[i:i+1]))
			all = append(all, replies(cmds)...)
		}
		return all
	}},
	{name: "under Watch", tx: true, send: func(rdb *redis.Client, lines [][]any) (all []string) {
		for i := range lines {
			err := rdb.Watch(ctx, func(tx *redis.Tx) error {
				cmds, _ := tx.TxPipelined(ctx, queue(lines[i:i+1]))
				all = append(all, replies(cmds)...)
				return nil
			}, "watched")
			if err != nil {
				all = append(all, err.Error())
			}
		}
		return all
	}},
	{name: "between WATCH and EXEC", send: func(rdb *redis.Client, lines [][]any) (all []string) {
		for i := range lines {
			_ = rdb.Watch(ctx, func(tx *redis.Tx) error {
				all = append(all, answered(tx.Do(ctx, lines[i]...).Result()))
				return nil
			}, "watched")
		}
		return all
	}},
	{name: "by hand", db: 3, tx: true, loose: true, send: func(rdb *redis.Client, lines [][]any) []string {
		conn := rdb.Conn()
		defer conn.Close()
		conn.Select(ctx, 3)
		all := byOne(func(line []any) *redis.Cmd { return conn.Do(ctx, line...) }, append([][]any{{"multi"}}, lines...))
		v, err := conn.Do(ctx, "exec").Slice()
		for _, v := range v {
			all = append(all, fmt.Sprint(v))
		}
		return append(all, fmt.Sprint(err))
	}},
}

func (w *way) takes(e *effect) bool {
	switch {
	case w.tx && e.odd, w.pure && e.code:
		return false
	case w.loose:
		return !e.luck && e.name != "xadd small" && e.name != "xadd partly"
	}
	return true
}

// Law 7: whatever local acknowledged while it served, the primary has after the return as local has it,
// and its caller was answered as a bare client is.
func TestEveryEffectReachesThePrimary(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		for _, w := range ways {
			t.Run(fmt.Sprintf("%s, RESP%d", w.name, protocol), func(t *testing.T) {
				t.Parallel()
				x := newTrio(t, protocol)
				x.seed(t, w.db)
				var all []effect
				var lines [][]any
				for _, e := range effects {
					if w.takes(&e) {
						all, lines = append(all, e), append(lines, x.line(e.name, e.call))
					}
				}
				x.pin(t, fallback.Local)
				got, want := w.send(x.rdb, lines), w.send(x.bare, lines)
				x.sameReplies(t, all, got, want)
				x.pin(t, fallback.Primary)
				x.sameData(t, w.db)
			})
		}
	}
}

func (x *trio) sameReplies(t *testing.T, all []effect, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d replies, want %d:\n%q\n%q", len(got), len(want), got, want)
	}
	luck := map[int]bool{}
	for i, e := range all {
		luck[i] = e.luck
		luck[i+1+len(all)] = e.luck // by hand, where OK and QUEUED come before
	}
	for i := range got {
		if got[i] != want[i] && !luck[i] {
			t.Errorf("%v: %q, want %q", all[(i-1+len(all))%len(all)].name+" or the next", got[i], want[i])
		}
	}
}

// sameData compares what primary and local hold in a database.
func (x *trio) sameData(t *testing.T, db int) {
	t.Helper()
	a, b := contents(t, x.primary, db), contents(t, x.local, db)
	for key := range a {
		if _, ok := b[key]; !ok {
			t.Errorf("%s is on the primary alone", key)
		}
	}
	for key, l := range b {
		p, ok := a[key]
		switch {
		case !ok:
			t.Errorf("%s is on local alone", key)
		case !reflect.DeepEqual(p.value, l.value):
			t.Errorf("%s is %v on the primary and %v on local", key, p.value, l.value)
		case strings.HasPrefix(key, "eval") || key == "fcall": // what a script says counts from its second run
		case (p.left < 0) != (l.left < 0), (p.left - l.left).Abs() > time.Second:
			t.Errorf("%s has %v left on the primary and %v on local", key, p.left, l.left)
		}
	}
	if len(b) == 0 {
		t.Error(errors.New("nothing is there"))
	}
}
