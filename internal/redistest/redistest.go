// Package redistest starts real redis-server processes for tests.
package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Server is one redis-server process.
type Server struct {
	Port int
	args []string
	cmd  *exec.Cmd
}

// Start starts a redis-server on a free port of 127.0.0.1, with further arguments as on its command
// line. It ends with the test. Where there is no redis-server the test is skipped, in CI it fails.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return StartConfig(tb, "", args...)
}

// StartConfig is Start with a configuration file, as Sentinel needs one.
func StartConfig(tb testing.TB, config string, args ...string) *Server {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatal("redis-server is not installed, and CI must have one")
		}
		tb.Skip("redis-server is not installed: this test needs a real one")
	}
	s, err := launch(tb.TempDir(), config, args)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Kill)
	return s
}

// Launch is Start outside a test: the server's files are in dir, and Kill ends it.
func Launch(dir string, args ...string) (*Server, error) { return launch(dir, "", args) }

// launchTries bounds the ports that are tried: a free one may be another process' a moment later.
const launchTries = 5

func launch(dir, config string, args []string) (s *Server, err error) {
	for range launchTries {
		if s, err = launchOnce(dir, config, args); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func launchOnce(dir, config string, args []string) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		return nil, err
	}
	s := &Server{Port: ln.Addr().(*net.TCPAddr).Port}
	_ = ln.Close()
	s.args = []string{"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--dir", dir, "--daemonize", "no"}
	if config != "" {
		s.args = append([]string{config}, s.args...)
	} else {
		s.args = append(s.args, "--save", "", "--appendonly", "no")
	}
	s.args = append(s.args, args...)
	return s, s.Again()
}

// Restart starts the process again, on the same port and folder.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	if err := s.Again(); err != nil {
		tb.Fatal(err)
	}
}

// Again is Restart outside a test.
func (s *Server) Again() error {
	s.cmd = exec.Command("redis-server", s.args...) //nolint:noctx // ended by Kill
	var out output
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", s.Addr(), time.Second) //nolint:noctx // a test
		if err == nil {
			_ = conn.Close()
			return nil
		}
		if time.Now().After(deadline) || strings.Contains(out.text(), "Failed listening on port") {
			s.Kill()
			return fmt.Errorf("redis-server does not listen on %s: %w\n%s", s.Addr(), err, out.text())
		}
	}
}

// output is what a process says, while it says it.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Kill ends the process as kill -9 does.
func (s *Server) Kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.signal(syscall.SIGCONT)
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Hang stops the process where it is; Resume lets it go on. One that does not run stays as it is.
func (s *Server) Hang() { s.signal(syscall.SIGSTOP) }

// Resume lets a stopped process go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(sig)
	}
}

// Addr returns the address, as host:port.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// Options returns options for a client of the server.
func (s *Server) Options() *redis.Options {
	return &redis.Options{
		Addr:                     s.Addr(),
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// Client returns a client of the server that is closed with the test.
func (s *Server) Client(tb testing.TB) *redis.Client {
	tb.Helper()
	rdb := redis.NewClient(s.Options())
	tb.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// Get reads a key past every client of the test, and "" where there is none.
func (s *Server) Get(tb testing.TB, key string) string {
	tb.Helper()
	rdb := redis.NewClient(s.Options())
	defer rdb.Close()
	v, err := rdb.Get(context.Background(), key).Result()
	if err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
		tb.Fatalf("reading %s from %s: %v", key, s.Addr(), err)
	}
	return v
}
