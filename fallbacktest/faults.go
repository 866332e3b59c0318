package fallbacktest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync/atomic"
	"time"
)

// Stop is what a killed server looks like: connections are reset, dials refused. The data stays.
func (s *Server) Stop() {
	s.mu.Lock()
	ln := s.ln
	s.ln = nil
	s.mu.Unlock()
	if ln != nil {
		_ = ln.Close()
	}
	s.Cut()
}

// Restart listens again, on the same address.
func (s *Server) Restart() error { return s.listen(s.Addr()) }

// Hang stops answering: connections are accepted, and nothing is ever said, until Resume.
func (s *Server) Hang() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.resumed:
		s.resumed = make(chan struct{})
	default:
	}
}

// Resume ends Hang.
func (s *Server) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.resumed:
	default:
		close(s.resumed)
	}
}

// Cut closes every connection.
func (s *Server) Cut() {
	s.mu.Lock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// CloseIdle closes connections that were idle for d, from here on. 0 ends it.
func (s *Server) CloseIdle(d time.Duration) {
	s.mu.Lock()
	s.idle = d
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.touch()
	}
}

// Connections returns how many connections are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// conn is one connection, which hangs with its server.
type conn struct {
	net.Conn
	s     *Server
	timer *time.Timer
	shut  atomic.Bool
}

func newConn(s *Server, c net.Conn) *conn {
	w := &conn{Conn: c, s: s}
	w.timer = time.AfterFunc(time.Hour, w.expire)
	w.timer.Stop()
	w.touch()
	return w
}

func (c *conn) expire() { _ = c.Close() }

// touch starts the time of idleness anew.
func (c *conn) touch() {
	c.s.mu.Lock()
	idle := c.s.idle
	c.s.mu.Unlock()
	if idle > 0 {
		c.timer.Reset(idle)
	} else {
		c.timer.Stop()
	}
}

func (c *conn) wait() {
	c.s.mu.Lock()
	resumed := c.s.resumed
	c.s.mu.Unlock()
	<-resumed
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.touch()
	c.wait()
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	c.wait()
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	if c.shut.Swap(true) {
		return nil
	}
	c.timer.Stop()
	c.s.mu.Lock()
	delete(c.s.conns, c)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

// certificate is made for one server.
type certificate struct {
	pair tls.Certificate
	pool *x509.CertPool
}

func newCertificate() (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fallbacktest"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &certificate{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool}, nil
}

func (c *certificate) server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.pair}, MinVersion: tls.VersionTLS12}
}

func (c *certificate) client() *tls.Config {
	return &tls.Config{RootCAs: c.pool, MinVersion: tls.VersionTLS12}
}
