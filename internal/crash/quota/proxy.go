// Package quota is a proxy in front of a Redis server that refuses as a metered service does, for one
// client and not yet for others, and loses what networks lose.
package quota

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/command"
)

// Mode says what is refused.
type Mode uint8

// The modes.
const (
	Nothing Mode = iota
	Writes       // commands that write; MULTI and EXEC go on
	All          // every command that is billed
)

// Fate is what becomes of a command.
type Fate uint8

// The fates.
const (
	Pass  Fate = iota
	Lose       // it reaches the server, and its reply does not reach the client
	Sever      // it reaches nobody
)

// Proxy is safe for concurrent use. Make one with Listen.
type Proxy struct {
	upstream string
	ln       net.Listener

	mu       sync.Mutex // protects all below
	mode     Mode
	quota    int // billed commands until All; -1 without a quota
	lose     int
	delay    time.Duration
	apart    bool
	trap     trap
	conns    map[*conn]bool
	refusals int64
	closed   bool
}

// Listen returns a proxy on a free port of 127.0.0.1.
func Listen(upstream string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as long as the proxy
	if err != nil {
		return nil, err
	}
	p := &Proxy{upstream: upstream, ln: ln, quota: -1, conns: map[*conn]bool{}}
	go p.accept()
	return p, nil
}

// Addr returns the address, as host:port.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.ln.Close()
	p.Cut()
}

// Refuse sets what is refused from here on, and forgets Allow.
func (p *Proxy) Refuse(m Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.quota = m, -1
}

// Allow lets n more billed commands through and refuses all after: in the middle of a pipeline or of
// a transaction, if that is where they end.
func (p *Proxy) Allow(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.quota = Nothing, n
}

// LoseReplies lets the next n commands that write, EXEC among them, reach the server, and ends the
// connection in place of the reply.
func (p *Proxy) LoseReplies(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = n
}

// Delay holds each piece of a request for d. 0 ends it.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Part keeps the client from the server altogether: connections end, and new ones too.
func (p *Proxy) Part(on bool) {
	p.mu.Lock()
	p.apart = on
	p.mu.Unlock()
	if on {
		p.Cut()
	}
}

// Cut ends every connection, whatever is on its way.
func (p *Proxy) Cut() {
	p.mu.Lock()
	all := make([]*conn, 0, len(p.conns))
	for c := range p.conns {
		all = append(all, c)
	}
	p.mu.Unlock()
	for _, c := range all {
		c.close()
	}
}

// At calls f once, before the next command of this name is sent on for whose arguments, behind those of
// the transaction that it ends, is says so. f may wait: the connection does too, while others go on. then,
// if f returns one, is called once: when the server has answered, before any of that reaches the client,
// or when the connection has ended. nil for f ends it.
func (p *Proxy) At(command string, is func(args [][]byte) bool, f func() (fate Fate, then func())) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = trap{command, is, f}
}

// Has returns a test for At: that there is an argument with marker in it.
func Has(marker string) func(args [][]byte) bool {
	return func(args [][]byte) bool {
		return slices.ContainsFunc(args, func(a []byte) bool { return bytes.Contains(a, []byte(marker)) })
	}
}

// Renew ends every fault.
func (p *Proxy) Renew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.quota, p.lose, p.delay, p.apart, p.trap = Nothing, -1, 0, 0, false, trap{}
}

// Refusals returns how many commands have been refused.
func (p *Proxy) Refusals() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refusals
}

func (p *Proxy) accept() {
	for {
		down, err := p.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		go p.serve(down)
	}
}

func (p *Proxy) serve(down net.Conn) {
	up, err := net.DialTimeout("tcp", p.upstream, time.Second) //nolint:noctx // bounded
	if err != nil {
		_ = down.Close()
		return
	}
	c := &conn{p: p, down: down, up: up}
	p.mu.Lock()
	keep := !p.apart && !p.closed
	if keep {
		p.conns[c] = true
	}
	p.mu.Unlock()
	if !keep {
		c.close()
		return
	}
	go c.replies()
	c.requests()
}

// free are the commands that are not billed, as fallbacktest has them.
var free = map[string]bool{
	"AUTH": true, "HELLO": true, "SELECT": true, "COMMAND": true, "CONFIG": true, "INFO": true,
	"PING": true, "RESET": true, "QUIT": true, "CLIENT": true, "READONLY": true,
}

// refuses decides about one command, and spends the quota on it.
func (p *Proxy) refuses(args [][]byte) bool {
	name := nameOf(args)
	if free[name] {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quota > 0 {
		p.quota--
		return false
	}
	if p.quota == 0 {
		p.quota, p.mode = -1, All
	}
	if p.mode == Nothing || p.mode == Writes && !writes(args) {
		return false
	}
	p.refusals++
	return true
}

// loses reports whether the reply of a command is to be lost, and counts it.
func (p *Proxy) loses(args [][]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose == 0 || nameOf(args) != "EXEC" && !writes(args) {
		return false
	}
	p.lose--
	return true
}

type trap struct {
	command string
	is      func(args [][]byte) bool
	f       func() (Fate, func())
}

// sprung returns the function of At, if a command is the one it waits for.
func (p *Proxy) sprung(name string, said [][]byte) func() (Fate, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trap.f == nil || p.trap.command != name || !p.trap.is(said) {
		return nil
	}
	f := p.trap.f
	p.trap = trap{}
	return f
}

func (p *Proxy) pause() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

func nameOf(args [][]byte) string {
	if len(args) == 0 {
		return ""
	}
	return strings.ToUpper(string(args[0]))
}

func writes(args [][]byte) bool {
	some := make([]any, 0, 2)
	for _, a := range args[:min(len(args), 2)] {
		some = append(some, strings.ToLower(string(a)))
	}
	return !command.Of(some).Any(command.Read | command.Session | command.Admin | command.Cursor)
}

const (
	refusal   = "-" + fallbacktest.ReplyRequests + "\r\n"
	execAbort = "-EXECABORT Transaction discarded because of previous errors.\r\n"
)
