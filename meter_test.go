package fallback_test

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/redis-fallback/fallback/fallbacktest"
)

// meter is a quota in front of real servers: the Dialer of a client, whose connections answer like a
// hosted Redis over its quota while the meter says so. What it refuses never reaches a server.
type meter struct {
	mu      sync.Mutex
	over    bool
	only    string // the one address that refuses; "" for all
	setUp   bool   // the set-up of connections is refused too
	multi   bool   // nothing is refused but MULTI, and what follows it runs
	refused int
}

func (m *meter) exhaust(only string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over, m.only = true, only
}

func (m *meter) renew() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = false
}

func (m *meter) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &meteredConn{Conn: conn, m: m, addr: addr}, nil
}

// over2 is a dialer whose connections also lose replies.
func (m *meter) over2(l *loseReplies) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := m.dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &losingConn{Conn: conn, l: l}, nil
	}
}

func (m *meter) refuses(addr string, request []byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.over || m.only != "" && m.only != addr {
		return 0
	}
	names := commandNames(request)
	if len(names) == 0 || unbilled[names[0]] && (!m.setUp || names[0] != "hello") {
		return 0
	}
	if m.multi {
		if names[0] != "multi" {
			return 0
		}
		names = names[:1]
	}
	m.refused += len(names)
	return len(names)
}

var unbilled = map[string]bool{
	"hello": true, "client": true, "ping": true, "sentinel": true, "subscribe": true, "psubscribe": true,
}

// commandNames returns the names of the commands in a request that go-redis has written.
func commandNames(p []byte) []string {
	var names []string
	line := func() string {
		l, rest, _ := bytes.Cut(p, []byte("\r\n"))
		p = rest
		return string(l)
	}
	for len(p) > 0 && p[0] == '*' {
		n, _ := strconv.Atoi(line()[1:])
		for i := range n {
			size, _ := strconv.Atoi(line()[1:])
			if i == 0 {
				names = append(names, strings.ToLower(string(p[:size])))
			}
			p = p[size+2:]
		}
	}
	return names
}

type meteredConn struct {
	net.Conn
	m    *meter
	addr string

	mu      sync.Mutex
	replies []byte
}

// SyscallConn lets the pool look at idle connections.
func (c *meteredConn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

func (c *meteredConn) Write(p []byte) (int, error) {
	n := c.m.refuses(c.addr, p)
	if n == 0 {
		return c.Conn.Write(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies = append(c.replies, strings.Repeat("-"+fallbacktest.ReplyRequests+"\r\n", n)...)
	if first := len("*1\r\n$5\r\nmulti\r\n"); n == 1 && len(p) > first && commandNames(p)[0] == "multi" {
		if _, err := c.Conn.Write(p[first:]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (c *meteredConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	if len(c.replies) > 0 {
		defer c.mu.Unlock()
		n := copy(p, c.replies)
		c.replies = c.replies[n:]
		return n, nil
	}
	c.mu.Unlock()
	return c.Conn.Read(p)
}
