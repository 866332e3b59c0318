// Package fallbacktest is a Redis with a quota, in process, for tests of programs that use a metered
// Redis. It refuses in the words that Upstash uses, on demand, and can hang, cut connections, lose
// replies and close idle connections.
//
//	srv := fallbacktest.Run(t)
//	rdb := redis.NewClient(srv.Options())
//	srv.Exhaust() // every command is refused from here on
//	srv.Renew()
//
// The commands themselves are miniredis'.
package fallbacktest

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Replies of Upstash at its limits, as they were seen, without the leading "-".
const (
	ReplyRequests    = "ERR max requests limit exceeded. Limit: 500000, Usage: 500006. See https://upstash.com/docs/redis/troubleshooting/max_requests_limit for details"
	ReplyDaily       = "ERR max daily request limit exceeded. Limit: 10000, Usage: 10001. See https://upstash.com/docs/redis/troubleshooting/max_daily_request_limit for details"
	ReplyBudget      = "ERR This database has been suspended for exceeding the defined budget limit. Please increase budget or switch to a Fixed plan on Upstash Console"
	ReplyStorage     = "ERR DB capacity quota exceeded. Threshold: 268435456 bytes, Usage: 268447091 bytes. See https://upstash.com/docs/redis/troubleshooting/db_capacity_quota_exceeded for details"
	ReplyConnections = "ERR max concurrent connections exceeded"
)

// TB is the part of *testing.T that Run needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Option changes a server before it starts.
type Option func(*Server)

// WithPassword asks clients for a password, of the user "default".
func WithPassword(password string) Option { return func(s *Server) { s.password = password } }

// WithTLS serves over TLS, with a certificate of its own for 127.0.0.1: see Options.
func WithTLS() Option { return func(s *Server) { s.secure = true } }

// Server is one Redis. It is safe for concurrent use.
type Server struct {
	redis    *miniredis.Miniredis
	server   *server.Server // of redis
	password string
	secure   bool
	cert     *certificate

	mu       sync.Mutex
	ln       net.Listener
	addr     string
	conns    map[*conn]struct{}
	closed   bool
	resumed  chan struct{} // closed while the server is not hung
	idle     time.Duration
	rules    rules
	counts   map[string]int
	refusals int
	inner    map[*server.Peer]bool // stand-ins that run a command whose reply is lost
}

// Run starts a server that ends with the test.
func Run(t TB, opts ...Option) *Server {
	t.Helper()
	s, err := Start(opts...)
	if err != nil {
		t.Fatalf("fallbacktest: %v", err)
		return nil
	}
	t.Cleanup(s.Close)
	return s
}

// Start starts a server on a free port of 127.0.0.1. End it with Close.
func Start(opts ...Option) (*Server, error) {
	s := &Server{
		redis: miniredis.NewMiniRedis(), conns: map[*conn]struct{}{}, counts: map[string]int{},
		inner: map[*server.Peer]bool{}, resumed: make(chan struct{}),
	}
	close(s.resumed)
	for _, o := range opts {
		o(s)
	}
	if s.secure {
		cert, err := newCertificate()
		if err != nil {
			return nil, err
		}
		s.cert = cert
	}
	// miniredis opens no port of its own: connections are handed to it.
	first, err := s.redis.Dial()
	if err != nil {
		return nil, err
	}
	_ = first.Close()
	if s.password != "" {
		s.redis.RequireUserAuth("default", s.password)
		s.redis.RequireAuth(s.password)
	}
	s.server = s.redis.Server()
	s.server.SetPreHook(s.before)
	if err := s.listen("127.0.0.1:0"); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) listen(addr string) error {
	ln, err := net.Listen("tcp", addr) //nolint:noctx // a test server
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.ln, s.addr = ln, ln.Addr().String()
	s.mu.Unlock()
	go s.accept(ln)
	return nil
}

func (s *Server) accept(ln net.Listener) {
	for {
		raw, err := ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		resumed := s.resumed
		s.mu.Unlock()
		go func() {
			<-resumed // a hung server accepts, in its backlog, and says nothing
			c := newConn(s, raw)
			if s.secure {
				c = newConn(s, tls.Server(raw, s.cert.server()))
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.closed || s.ln != ln { // stopped between its being accepted and now
				_ = raw.Close()
				return
			}
			s.conns[c] = struct{}{}
			s.server.ServeConn(c)
		}()
	}
}

// Close ends the server.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Resume()
	s.Stop()
	s.redis.Close()
}

// Addr returns the address, as host:port.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Options returns options for a client of this server, with its password and certificate.
func (s *Server) Options() *redis.Options {
	o := &redis.Options{
		Addr: s.Addr(), Password: s.password,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if s.secure {
		o.TLSConfig = s.cert.client()
	}
	return o
}

// URL returns the server's URL. Over TLS it asks for skip_verify, as its certificate is known to
// nobody.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Addr()}
	if s.password != "" {
		u.User = url.UserPassword("default", s.password)
	}
	if s.secure {
		u.Scheme, u.RawQuery = "rediss", "skip_verify=true"
	}
	return u.String()
}

// Data returns the server's data, to be looked at and set without any quota.
func (s *Server) Data() *miniredis.Miniredis { return s.redis }

// Count returns how many commands of this name, in any case, were executed; refused ones are not.
func (s *Server) Count(command string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[strings.ToUpper(command)]
}

// Commands returns how many billed commands were executed: not PING, AUTH, HELLO, SELECT and their
// like.
func (s *Server) Commands() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for name, k := range s.counts {
		if !free[name] {
			n += k
		}
	}
	return n
}

// Refused returns how many commands were refused.
func (s *Server) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusals
}

// String describes the server without its password.
func (s *Server) String() string { return fmt.Sprintf("fallbacktest(%s)", s.Addr()) }
