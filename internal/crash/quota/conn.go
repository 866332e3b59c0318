package quota

import (
	"bytes"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis-fallback/fallback/internal/wire"
)

// conn is one connection of the client, with its own to the server. Each request has a slot, in the
// order in which they came, so that replies of the server and those made up here do not mix.
type conn struct {
	p        *Proxy
	down, up net.Conn

	// What follows belongs to the goroutine of requests.
	multi bool
	dirty bool     // a command was refused inside the transaction: EXEC must not run it
	said  [][]byte // the arguments of the transaction

	mu    sync.Mutex // protects slots and ended, and what is written to down
	slots []slot
	ended bool
	once  sync.Once
}

type slot struct {
	made []byte // made up here: no reply of the server belongs to it
	swap []byte // stands in for the server's reply
	then func() // is called with it, or without if it does not come; nil nothing
	lose bool
}

func (c *conn) close() {
	c.once.Do(func() {
		_ = c.down.Close()
		_ = c.up.Close()
		c.p.mu.Lock()
		delete(c.p.conns, c)
		c.p.mu.Unlock()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = true
		for _, s := range c.slots {
			s.follow()
		}
	})
}

func (s *slot) follow() {
	if s.then != nil {
		s.then()
	}
}

func (c *conn) requests() {
	defer c.close()
	var s wire.Splitter
	buf := make([]byte, 64<<10)
	for {
		n, err := c.down.Read(buf)
		if err != nil {
			return
		}
		s.Add(buf[:n])
		var out bytes.Buffer
		for {
			args, raw, ok := s.Next()
			if !ok {
				break
			}
			if !c.request(args, raw, &out) {
				return
			}
		}
		if d := c.p.pause(); d > 0 {
			time.Sleep(d)
		}
		if _, err := c.up.Write(out.Bytes()); err != nil {
			return
		}
	}
}

// request takes one command: its bytes go to out, or it is answered here.
func (c *conn) request(args [][]byte, raw []byte, out *bytes.Buffer) bool {
	name := nameOf(args)
	s := slot{}
	switch refused := c.p.refuses(args); {
	case refused:
		// An EXEC that is refused leaves its transaction open, as it does on the service.
		c.dirty = c.dirty || c.multi && name != "EXEC" && name != "DISCARD"
		s.made = []byte(refusal)
	case name == "EXEC" && c.multi && c.dirty:
		out.WriteString("*1\r\n$7\r\nDISCARD\r\n")
		s.swap = []byte(execAbort)
		c.multi, c.dirty, c.said = false, false, nil
	default:
		if c.multi && name != "EXEC" {
			c.said = append(c.said, args...)
		}
		if f := c.p.sprung(name, slices.Concat(c.said, args)); f != nil {
			// What came before is on the server while f waits.
			if _, err := c.up.Write(out.Bytes()); err != nil {
				return false
			}
			out.Reset()
			var fate Fate
			fate, s.then = f()
			switch fate {
			case Sever:
				s.follow()
				return false
			case Lose:
				s.lose = true
			default:
			}
		}
		switch name {
		case "MULTI":
			c.multi = true
		case "EXEC", "DISCARD", "RESET":
			c.multi, c.dirty, c.said = false, false, nil
		}
		s.lose = s.lose || !c.multi && c.p.loses(args)
		out.Write(raw)
	}
	return c.push(s)
}

func (c *conn) push(s slot) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		s.follow()
		return false
	}
	c.slots = append(c.slots, s)
	return c.answer()
}

// answer sends what was made up, as far as nothing of the server has to come before. c.mu is held.
func (c *conn) answer() bool {
	for len(c.slots) > 0 && c.slots[0].made != nil {
		if _, err := c.down.Write(c.slots[0].made); err != nil {
			return false
		}
		c.slots = c.slots[1:]
	}
	return true
}

func (c *conn) replies() {
	defer c.close()
	var s wire.Splitter
	buf := make([]byte, 64<<10)
	for {
		n, err := c.up.Read(buf)
		if err != nil {
			return
		}
		s.Add(buf[:n])
		for {
			_, raw, ok := s.Next()
			if !ok {
				break
			}
			if !c.reply(raw) {
				return
			}
		}
	}
}

// reply takes one reply of the server.
func (c *conn) reply(raw []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if raw[0] != '>' { // a push belongs to no request
		if len(c.slots) == 0 {
			return false
		}
		s := c.slots[0]
		c.slots = c.slots[1:]
		s.follow()
		if s.lose {
			return false
		}
		if s.swap != nil {
			raw = s.swap
		}
	}
	if _, err := c.down.Write(raw); err != nil {
		return false
	}
	return c.answer()
}
