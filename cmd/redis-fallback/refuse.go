package main

import (
	"bytes"
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// refuser is a hook that answers for the primary, on the connection and before anything is sent: its
// quota is over, and none of it is spent. Add it after the fallback's own hook.
type refuser struct{ on atomic.Bool }

func (r *refuser) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &refusing{Conn: c, r: r}, nil
	}
}

func (*refuser) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (*refuser) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

type refusing struct {
	net.Conn
	r *refuser

	mu      sync.Mutex // protects pending
	pending []byte
}

func (c *refusing) Write(p []byte) (int, error) {
	if !c.r.on.Load() || setsUp(p) {
		return c.Conn.Write(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for range commands(p) {
		c.pending = append(c.pending, "-"+fallbacktest.ReplyRequests+"\r\n"...)
	}
	return len(p), nil
}

func (c *refusing) Read(p []byte) (int, error) {
	c.mu.Lock()
	if len(c.pending) > 0 {
		n := copy(p, c.pending)
		c.pending = c.pending[n:]
		c.mu.Unlock()
		return n, nil
	}
	c.mu.Unlock()
	return c.Conn.Read(p)
}

// setsUp reports a request that begins with a command which services answer over quota.
func setsUp(p []byte) bool {
	lines := bytes.SplitN(p, []byte("\r\n"), 4)
	if len(lines) < 4 {
		return false
	}
	switch string(bytes.ToLower(lines[2])) {
	case "hello", "auth", "client", "select", "ping":
		return true
	}
	return false
}

// commands counts the commands of a request. A line that begins with "*" in a value is skipped with
// the value, by its length.
func commands(p []byte) int {
	n := 0
	for len(p) > 0 {
		end := bytes.Index(p, []byte("\r\n"))
		if end < 0 {
			break
		}
		line := p[:end]
		p = p[end+2:]
		switch {
		case len(line) > 0 && line[0] == '*':
			n++
		case len(line) > 0 && line[0] == '$':
			size := 0
			for _, d := range line[1:] {
				size = size*10 + int(d-'0')
			}
			p = p[min(size+2, len(p)):]
		}
	}
	return n
}
