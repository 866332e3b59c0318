package wire_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/wire"
)

// layered hides its socket as TLS does.
type layered struct{ net.Conn }

func (l layered) NetConn() net.Conn { return l.Conn }

// onSocket returns a connection of set with a layer above its socket, and the server's end.
func onSocket(t *testing.T, set *wire.Set) (conn, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String()) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	conn = set.Wrap(layered{c})
	t.Cleanup(func() { _, _ = conn.Close(), server.Close() })
	return conn, server
}

// answer makes one request, and has it answered.
func answer(t *testing.T, conn, server net.Conn) {
	t.Helper()
	var b [64]byte
	_, err := conn.Write([]byte("PING\r\n"))
	_, err2 := server.Read(b[:])
	_, err3 := server.Write([]byte("+PONG\r\n"))
	err4 := conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err5 := conn.Read(b[:])
	if err := errors.Join(err, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
}

// Errors pass Failed, but for a stale connection that was just taken from the pool: nothing else can be
// under way on it.
func TestFailedMayReplaceErrors(t *testing.T) {
	t.Parallel()
	mark := errors.New("marked")
	set := &wire.Set{Failed: func(err error) error { return errors.Join(mark, err) }}
	for _, taken := range []bool{true, false} {
		conn, server := onSocket(t, set)
		answer(t, conn, server)
		_ = server.Close()
		if taken {
			_ = conn.SetDeadline(time.Time{}) // as the pool does
		}
		if _, err := conn.Write([]byte("PING\r\n")); !errors.Is(err, wire.ErrStale) || errors.Is(err, mark) == taken {
			t.Errorf("just taken %v: a write ended with %v", taken, err)
		}
	}
	conn, server := onSocket(t, set)
	_ = server.Close()
	var b [1]byte
	if _, err := conn.Read(b[:]); !errors.Is(err, io.EOF) || !errors.Is(err, mark) {
		t.Errorf("a read ended with %v", err)
	}
}

// Where a reader waits beside the writer, the writer takes nothing from it, and the reader's deadline
// stays.
func TestAWriterLeavesAWaitingReaderAlone(t *testing.T) {
	t.Parallel()
	conn, server := onSocket(t, &wire.Set{})
	answer(t, conn, server)
	_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	done := make(chan error, 1)
	go func() {
		var b [64]byte
		_, err := conn.Read(b[:])
		done <- err
	}()
	for range 3 {
		if _, err := conn.Write([]byte("PING\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	var timeout net.Error
	select {
	case err := <-done:
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("the reader ended with %v, want its own deadline", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the writer has taken the reader's deadline")
	}
}
