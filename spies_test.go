package fallback_test

import (
	"context"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

type builders struct {
	mu    sync.Mutex
	calls []string
	dial  func(redis.DialHook) redis.DialHook
	one   func(redis.ProcessHook) redis.ProcessHook
}

func (b *builders) note(s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, s)
}

func (b *builders) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := strings.Join(b.calls, " ")
	b.calls = nil
	return s
}

func (b *builders) DialHook(next redis.DialHook) redis.DialHook {
	b.note("dial")
	if b.dial != nil {
		return b.dial(next)
	}
	return nil
}

func (b *builders) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	b.note("process")
	if b.one != nil {
		return b.one(next)
	}
	return nil
}

func (b *builders) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	b.note("pipeline")
	return nil
}

func bareClient(t *testing.T, s *fallbacktest.Server, change func(*redis.Options)) *redis.Client {
	t.Helper()
	o := s.Options()
	if change != nil {
		change(o)
	}
	rdb := redis.NewClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

type counted struct {
	redis.Cmder
	retry bool
	asked atomic.Int64
}

func (c *counted) NoRetry() bool { return !c.retry }

func (c *counted) Args() []any {
	c.asked.Add(1)
	return c.Cmder.Args()
}

type failing struct {
	net.Conn
	err error
}

func (f failing) Write([]byte) (int, error) { return 0, f.err }

type spied struct {
	net.Conn
	asked *atomic.Int64
}

func (s spied) SyscallConn() (syscall.RawConn, error) {
	s.asked.Add(1)
	return s.Conn.(syscall.Conn).SyscallConn()
}

type txSpy struct {
	types []string
	mu    sync.Mutex
	last  string
}

func (x *txSpy) wrote() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.last
}

func (x *txSpy) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		return spyConn{conn, x}, err
	}
}
func (*txSpy) ProcessHook(redis.ProcessHook) redis.ProcessHook { return nil }
func (x *txSpy) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "multi" {
			for _, c := range cmds {
				x.types = append(x.types, reflect.TypeOf(c).String(), c.Name())
			}
		}
		return next(ctx, cmds)
	}
}

type spyConn struct {
	net.Conn
	x *txSpy
}

func (c spyConn) Write(p []byte) (int, error) {
	c.x.mu.Lock()
	c.x.last = string(p)
	c.x.mu.Unlock()
	return c.Conn.Write(p)
}
