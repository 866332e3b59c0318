package wire_test

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis-fallback/fallback/internal/wire"
)

// ear is a Subscriber that keeps what it is told, and passes the client's commands on.
type ear struct {
	conn *wire.Conn

	mu     sync.Mutex
	said   []string // by the client
	frames []string
	gone   []error
	closed int
}

func (e *ear) Command(args [][]byte, raw []byte) error {
	e.mu.Lock()
	e.said = append(e.said, string(args[0]))
	e.mu.Unlock()
	return e.conn.Send(raw)
}

func (e *ear) Frame(frame []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.frames = append(e.frames, string(frame))
}

func (e *ear) Gone(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = append(e.gone, err)
}

func (e *ear) Closed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed++
}

func (e *ear) commands() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.said)
}

// listening returns a client's connection that has had one reply, so that it is ready for a request, the
// server's end, and who would take it over.
func listening(t *testing.T, set *wire.Set) (client, server net.Conn, e *ear) {
	t.Helper()
	end, server := net.Pipe()
	e = &ear{}
	set.Subscriber = func(c *wire.Conn) wire.Subscriber {
		e.conn = c
		return e
	}
	client = set.Wrap(end)
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	sends(t, client, server, command("hello", "3"))
	replies(t, client, server, "+OK\r\n")
	return client, server, e
}

// sends has the client write, and the server read it.
func sends(t *testing.T, client, server net.Conn, request string) {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		b := make([]byte, len(request))
		_, _ = io.ReadFull(server, b)
		got <- string(b)
	}()
	if _, err := io.WriteString(client, request); err != nil {
		t.Fatalf("writing %q: %v", request, err)
	}
	if g := <-got; g != request {
		t.Fatalf("the server read %q, want %q", g, request)
	}
}

// replies has the server write, and the client read it.
func replies(t *testing.T, client, server net.Conn, reply string) {
	t.Helper()
	go io.WriteString(server, reply)
	reads(t, client, reply)
}

func reads(t *testing.T, client io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(client, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v; want %q", b, err, want)
	}
}

// A connection becomes a subscriber's at its first subscription, however that is written.
func TestTapBegins(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"subscribe": true, "SUBSCRIBE": true, "pSubScribe": true, "SSUBSCRIBE": true, "Psubscribe": true,
		"unsubscribe": false, "punsubscribe": false, "publish": false, "xsubscribe": false, "subscribes": false,
	} {
		client, server, e := listening(t, &wire.Set{})
		sends(t, client, server, command(name, "c"))
		if got := len(e.commands()) == 1; got != want {
			t.Errorf("%s: taken over %v, want %v", name, got, want)
		}
	}
}

// Commands reach the Subscriber one by one, however they are written.
func TestTapCutsCommands(t *testing.T) {
	t.Parallel()
	all := command("subscribe", "a\r\nb") + command("PING", "") + command("unsubscribe") + command("psubscribe", "*1")
	for _, piece := range []int{1, 9, len(all)} {
		client, server, e := listening(t, &wire.Set{})
		go io.Copy(io.Discard, server)
		for i := 0; i < len(all); {
			n := min(piece, len(all)-i)
			if i == 0 {
				n = max(n, len("*2\r\n$9\r\nsubscribe\r\n")) // the name is written whole
			}
			if k, err := io.WriteString(client, all[i:i+n]); k != n || err != nil {
				t.Fatalf("wrote %d of %d: %v", k, n, err)
			}
			i += n
		}
		if got := strings.Join(e.commands(), " "); got != "subscribe PING unsubscribe psubscribe" {
			t.Errorf("in pieces of %d: %s", piece, got)
		}
	}
}

// What the server says comes frame by frame, wherever the network has cut it, RESP2 and RESP3.
func TestTapCutsFrames(t *testing.T) {
	t.Parallel()
	frames := []string{
		"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$7\r\na\r\n*1\r\n\r\n", ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$0\r\n\r\n",
		"*2\r\n$4\r\npong\r\n$0\r\n\r\n", "+PONG\r\n", "-ERR x\r\n", ">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$2\r\n\r\n\r\n",
		">3\r\n+subscribe\r\n$1\r\nc\r\n:1\r\n", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n", "%1\r\n+a\r\n:1\r\n",
	}
	all := strings.Join(frames, "")
	for cut := 1; cut <= len(all); cut++ {
		client, server, e := listening(t, &wire.Set{})
		sends(t, client, server, command("subscribe", "c"))
		for _, piece := range []string{all[:cut], all[cut:]} {
			if _, err := io.WriteString(server, piece); err != nil {
				t.Fatal(err)
			}
		}
		_ = server.Close() // the end comes behind the frames
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Microsecond) {
			e.mu.Lock()
			got, gone := slices.Clone(e.frames), slices.Clone(e.gone)
			e.mu.Unlock()
			if len(gone) > 0 {
				if !slices.Equal(got, frames) || len(gone) != 1 {
					t.Fatalf("cut at %d: %q, then %v", cut, got, gone)
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the server's end was not seen")
			}
		}
		_ = client.Close()
	}
}

// A reader that waits while another goroutine subscribes goes on with what the Subscriber delivers.
func TestTapWakesTheReader(t *testing.T) {
	t.Parallel()
	for _, silence := range []time.Duration{0, time.Second} {
		for range 300 { // the two meet in every order
			client, server, e := listening(t, &wire.Set{Silence: silence, Silent: func(time.Time) {}})
			read := make(chan string, 1)
			go func() {
				b := make([]byte, 10)
				n, err := client.Read(b)
				if err != nil {
					b = append(b[:0], err.Error()...)
					n = len(b)
				}
				read <- string(b[:n])
			}()
			sends(t, client, server, command("subscribe", "c"))
			e.conn.Deliver([]byte("hello"), false)
			select {
			case got := <-read:
				if got != "hello" {
					t.Fatalf("read %q", got)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the reader is deaf")
			}
			_, _ = client.Close(), server.Close()
		}
	}
}

// A reader's deadline holds, whether it was set before the subscription, while it waits, or after.
func TestTapDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server, e := listening(t, &wire.Set{})
		late := func(want time.Duration) {
			t.Helper()
			began := time.Now()
			n, err := client.Read(make([]byte, 1))
			if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != want {
				t.Errorf("read ended with %d, %v after %v; want its deadline after %v", n, err, time.Since(began), want)
			}
		}
		_ = client.SetReadDeadline(time.Now().Add(time.Minute))
		sends(t, client, server, command("subscribe", "c"))
		late(time.Minute)
		late(0) // it has passed

		_ = client.SetReadDeadline(time.Time{})
		go func() {
			time.Sleep(time.Hour)
			_ = client.SetReadDeadline(time.Now().Add(time.Second))
		}()
		late(time.Hour + time.Second)

		_ = client.SetDeadline(time.Now().Add(time.Second))
		go func() {
			time.Sleep(500 * time.Millisecond)
			_ = client.SetReadDeadline(time.Now().Add(time.Hour))
			time.Sleep(time.Minute)
			e.conn.Deliver([]byte("x"), false)
		}()
		reads(t, client, "x")
	})
}
