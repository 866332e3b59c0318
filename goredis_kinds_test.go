package fallback_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// What the hook relies on in the other kinds of client, as in goredis_test.go.

// below captures what lies below a hook, as AddHook gives it.
type below struct {
	dial    redis.DialHook
	process redis.ProcessHook
	batch   []redis.ProcessPipelineHook
}

func (b *below) DialHook(next redis.DialHook) redis.DialHook {
	b.dial = next
	return nil
}

func (b *below) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	b.process = next
	return nil
}

func (b *below) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	b.batch = append(b.batch, next)
	return nil
}

// ghost sends a transaction whose context has ended.
func (b *below) ghost(cmds ...redis.Cmder) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	all := append([]redis.Cmder{redis.NewStatusCmd(ctx, "multi")}, cmds...)
	return b.batch[1](ended, append(all, redis.NewSliceCmd(ctx, "exec")))
}

func (b *below) ghostApart() error {
	return b.ghost(redis.NewStringCmd(ctx, "get", "a"), redis.NewStringCmd(ctx, "get", "b"))
}

// setErrs counts how often a client tells a command its error.
type setErrs struct {
	redis.Cmder
	n int
}

func (s *setErrs) SetErr(err error) {
	s.n++
	s.Cmder.SetErr(err)
}

func TestGoRedisKindsDifferInCallsThatHaveEnded(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t)
	var dials atomic.Int64
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	o := s.Options()
	o.Dialer = dial
	client := redis.NewClient(o)
	defer client.Close()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.Addr()}, Dialer: dial})
	defer cluster.Close()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": s.Addr()}, HeartbeatFrequency: 1 << 40})
	defer ring.Close()

	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, c := range []struct {
		name   string
		client redis.UniversalClient
		empty  error // of a transaction of nothing
		told   int   // how often a command hears of its error
	}{
		{"client", client, context.Canceled, 0},
		{"cluster", cluster, nil, 0}, // it does not know its slots
		{"ring", ring, nil, 1},
	} {
		b := &below{}
		c.client.AddHook(b)
		if err := b.ghost(); !errors.Is(err, c.empty) {
			t.Errorf("a %s gives %v to an empty transaction whose context has ended, want %v: Rings are told by that", c.name, err, c.empty)
		}
		if err := b.ghostApart(); !errors.Is(err, context.Canceled) {
			t.Errorf("a %s gives %v to keys of two slots in a context that has ended, want that it has ended", c.name, err)
		}
		cmd := &setErrs{Cmder: redis.NewStringCmd(ctx, "get", "a")}
		if err := b.process(ended, cmd); !errors.Is(err, context.Canceled) || cmd.n != c.told {
			t.Errorf("a %s tells a command %d times of its error (%v), want %d: Rings are told by that", c.name, cmd.n, err, c.told)
		}
	}
	if n := dials.Load(); n != 0 || s.Commands() != 0 {
		t.Errorf("go-redis dials (%d times) or sends (%d commands) for calls whose context has ended", n, s.Commands())
	}
	if st := client.PoolStats(); st.TotalConns != 0 || st.PendingRequests != 0 {
		t.Errorf("a call whose context has ended is left in the pool: %+v", st)
	}
}

func TestGoRedisCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	t.Run("that knows its slots", func(t *testing.T) { clusterKnowsItsSlots(t, c) })
	t.Run("answers some commands aside", func(t *testing.T) { clusterAnswersAside(t, c) })
	t.Run("repeats pipelines by node", func(t *testing.T) { clusterRepeatsByNode(t, c) })
}

func clusterKnowsItsSlots(t *testing.T, c *redistest.Cluster) {
	t.Helper()
	rdb := c.Client(t)
	b := &below{}
	rdb.AddHook(b)
	if err := rdb.Get(ctx, "k").Err(); err != redis.Nil { //nolint:errorlint // as it comes
		t.Fatal(err)
	}
	if err := b.ghostApart(); !errors.Is(err, redis.ErrCrossSlot) {
		t.Errorf("a cluster gives %v to a transaction over two slots, want ErrCrossSlot before anything else: it is told from a Ring by that", err)
	}
	if conn, err := b.dial(ctx, "tcp", "127.0.0.1:1"); conn != nil || err != nil {
		t.Errorf("a cluster dials through its own hooks now: %v, %v; AddToCluster can be simpler", conn, err)
	}
	// A command is asked for its arguments to find its node, and again when it is written.
	cmd := &counted{Cmder: redis.NewIntCmd(ctx, "incr", "n")}
	if err := rdb.Process(ctx, cmd); err != nil || cmd.asked.Load() < 2 {
		t.Errorf("a cluster asks for the arguments %d times (%v), want at least for the way and the write", cmd.asked.Load(), err)
	}
}

func clusterAnswersAside(t *testing.T, c *redistest.Cluster) {
	t.Helper()
	m := &meter{}
	o := c.Options()
	o.Dialer = m.dial
	rdb := redis.NewClusterClient(o)
	defer rdb.Close()
	rdb.Ping(ctx)
	var returned []error
	rdb.AddHook(&builders{one: func(next redis.ProcessHook) redis.ProcessHook {
		return func(ctx context.Context, cmd redis.Cmder) error {
			err := next(ctx, cmd)
			returned = append(returned, err)
			return errors.New("not looked at")
		}
	}})
	m.exhaust("")
	for name, err := range map[string]error{
		"DBSIZE":        rdb.DBSize(ctx).Err(),
		"SCRIPT LOAD":   rdb.ScriptLoad(ctx, "return 1").Err(),
		"SCRIPT EXISTS": rdb.ScriptExists(ctx, "a").Err(),
	} {
		if err == nil || err.Error() != fallbacktest.ReplyRequests {
			t.Errorf("%s on a cluster no longer has its error at the command alone: %v", name, err)
		}
	}
	for _, err := range returned {
		if err != nil {
			t.Errorf("a command that a cluster answers aside now returns its error to hooks: %v", err)
		}
	}
	if len(returned) != 3 {
		t.Errorf("%d calls through the hook, want 3", len(returned))
	}
}

// A pipeline of a cluster is repeated node by node, unless the node's part holds a NoRetry.
func clusterRepeatsByNode(t *testing.T, c *redistest.Cluster) {
	t.Helper()
	lost := &loseReplies{}
	o := c.Options()
	o.Dialer = lost.dial
	rdb := redis.NewClusterClient(o)
	defer rdb.Close()
	rdb.Ping(ctx)
	lost.next("incr", 100)
	keys := keysApart()
	one := &counted{Cmder: redis.NewIntCmd(ctx, "incr", keys[0])}
	pipe := rdb.Pipeline()
	_ = pipe.Process(ctx, one)
	pipe.Incr(ctx, keys[1])
	if _, err := pipe.Exec(ctx); !errors.Is(err, io.EOF) {
		t.Fatalf("a lost pipeline: %v", err)
	}
	if a, b := c.Get(t, keys[0]), c.Get(t, keys[1]); a != "1" || b != "4" {
		t.Errorf("a NoRetry no longer holds for the pipeline of its node alone, or a cluster no longer repeats: %s and %s, want 1 and 4", a, b)
	}
}

// keysApart returns one key for each node of a cluster of three.
func keysApart() [3]string { return [3]string{"b", "c", "a"} } // slots 3300, 7365 and 15495

// loseReplies is the Dialer of a client whose servers execute some commands and close the connection
// in place of a reply.
type loseReplies struct {
	mu   sync.Mutex
	name string
	n    int
}

func (l *loseReplies) next(name string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.name, l.n = name, n
}

func (l *loseReplies) takes(p []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range commandNames(p) {
		if name == l.name && l.n > 0 {
			l.n--
			return true
		}
	}
	return false
}

func (l *loseReplies) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &losingConn{Conn: conn, l: l}, nil
}

type losingConn struct {
	net.Conn
	l    *loseReplies
	lost atomic.Bool
}

func (c *losingConn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

func (c *losingConn) Write(p []byte) (int, error) {
	if c.l.takes(p) {
		c.lost.Store(true)
	}
	return c.Conn.Write(p)
}

func (c *losingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p) // it has run by then
	if c.lost.Load() {
		_ = c.Close()
		return 0, io.EOF
	}
	return n, err
}
