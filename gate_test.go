package fallback_test

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// gate stands before a real server, and refuses in the words of a metered one while it is shut. The
// first command of every connection, which is HELLO, passes: over quota a hosted Redis goes on setting
// connections up.
type gate struct {
	shut atomic.Bool
	pass atomic.Int64 // commands that are let through all the same; their reply is one line
	seen atomic.Int64 // commands, but for that first one
}

// guard puts the gate before the server of o.
func (g *gate) guard(o *redis.Options) {
	dial := redis.NewDialer(o)
	o.DisableIdentity = true // or there would be more than HELLO
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &gated{Conn: conn, gate: g}, nil
	}
}

type gated struct {
	net.Conn
	gate *gate

	mu      sync.Mutex
	greeted bool
	request []byte // of a command that is not whole yet
	replies bytes.Buffer
}

func (c *gated) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.greeted {
		c.greeted = true
		return c.Conn.Write(p)
	}
	shut := c.gate.shut.Load()
	c.request = append(c.request, p...)
	for n := requestLen(c.request); n > 0; n = requestLen(c.request) {
		one := c.request[:n]
		c.request = c.request[n:]
		c.gate.seen.Add(1)
		switch {
		case !shut:
		case c.gate.pass.Add(-1) >= 0:
			if err := c.through(one); err != nil {
				return 0, err
			}
		default:
			c.replies.WriteString("-" + fallbacktest.ReplyRequests + "\r\n")
		}
	}
	if shut {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// through has one command answered by the server, ahead of the refusals behind it.
func (c *gated) through(request []byte) error {
	if _, err := c.Conn.Write(request); err != nil {
		return err
	}
	for b := []byte{0}; b[0] != '\n'; {
		if _, err := c.Conn.Read(b); err != nil {
			return err
		}
		c.replies.WriteByte(b[0])
	}
	return nil
}

func (c *gated) Read(p []byte) (int, error) {
	c.mu.Lock()
	if c.replies.Len() > 0 {
		defer c.mu.Unlock()
		return c.replies.Read(p)
	}
	c.mu.Unlock()
	return c.Conn.Read(p)
}

// requestLen returns how many bytes of b the first command in it takes, or 0 if it is not whole.
func requestLen(b []byte) int {
	pos, args := 0, 1
	for line := 0; line <= args; line++ {
		end := bytes.IndexByte(b[pos:], '\n')
		if end < 0 {
			return 0
		}
		n, err := strconv.Atoi(string(bytes.TrimSpace(b[pos+1 : pos+end])))
		if err != nil {
			return 0
		}
		pos += end + 1
		if line == 0 {
			args = n
			continue
		}
		if pos += n + 2; pos > len(b) {
			return 0
		}
	}
	return pos
}
