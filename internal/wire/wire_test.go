package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis-fallback/fallback/internal/wire"
)

const multi = "*1\r\n$5\r\nmulti\r\n"

func request(commands ...string) string {
	var b strings.Builder
	b.WriteString(multi)
	for _, c := range commands {
		args := strings.Fields(c)
		fmt.Fprintf(&b, "*%d\r\n", len(args))
		for _, a := range args {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
		}
	}
	b.WriteString("*1\r\n$4\r\nexec\r\n")
	return b.String()
}

// exchange writes a request, in pieces, and returns what a client reads of the replies, which come in
// pieces too.
func exchange(t *testing.T, req, replies string, piece int) (string, error) {
	t.Helper()
	client, server := net.Pipe()
	set := &wire.Set{}
	c := set.Wrap(client)
	defer c.Close()
	go func() {
		_, _ = io.CopyN(io.Discard, server, int64(len(req)))
		for rest := replies; rest != ""; {
			n := min(piece, len(rest))
			if _, err := io.WriteString(server, rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		_ = server.Close()
	}()
	for rest := req; rest != ""; {
		n := min(piece, len(rest))
		if rest == req {
			n = max(n, len(multi)) // go-redis never splits MULTI itself: its writer is larger
		}
		if _, err := io.WriteString(c, rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	got, err := io.ReadAll(c)
	return string(got), err
}

func TestGuard(t *testing.T) {
	t.Parallel()
	quota := "-ERR max requests limit exceeded\r\n"
	big := "$70000\r\n" + strings.Repeat("x", 70000) + "\r\n"
	for _, c := range []struct {
		name, replies, want string
		partial             bool
	}{
		{"a transaction passes", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n$1\r\nx\r\n", "", false},
		{"its replies may be large", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n" + big, "", false},
		{"aborted by WATCH, RESP2", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n", "", false},
		{"aborted by WATCH, RESP3", "+OK\r\n+QUEUED\r\n+QUEUED\r\n_\r\n", "", false},
		{"EXECABORT", "+OK\r\n" + quota + "+QUEUED\r\n-EXECABORT x\r\n", "", false},
		{"EXEC refused", "+OK\r\n+QUEUED\r\n+QUEUED\r\n" + quota, "", false},
		{"all refused: the refusal alone", quota + quota + quota + "-ERR EXEC without MULTI\r\n", quota, false},
		{"MULTI refused, commands ran", quota + ":1\r\n" + quota + "-ERR EXEC without MULTI\r\n", "", true},
		{"MULTI refused, nested replies", quota + "*2\r\n*1\r\n:1\r\n%1\r\n+a\r\n+b\r\n" + quota + "-ERR x\r\n", "", true},
		{"EXEC ran fewer than were queued", "+OK\r\n" + quota + "+QUEUED\r\n*1\r\n:1\r\n", "", true},
		{"pushes stand between", ">2\r\n+a\r\n+b\r\n+OK\r\n+QUEUED\r\n>1\r\n+c\r\n+QUEUED\r\n>1\r\n+d\r\n*2\r\n:1\r\n:2\r\n", "", false},
	} {
		for _, piece := range []int{1, 7, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d", c.name, piece), func(t *testing.T) {
				t.Parallel()
				got, err := exchange(t, request("incr a", "get exec"), c.replies, piece)
				want := c.want
				if want == "" {
					want = c.replies
				}
				var partial *wire.PartialError
				switch {
				case c.partial && !errors.As(err, &partial):
					t.Errorf("read %q, %v; want a PartialError", got, err)
				case !c.partial && (err != nil || got != want):
					t.Errorf("read %q, %v; want %q", got, err, want)
				}
			})
		}
	}
}

// What stands behind a transaction is not the guard's.
func TestGuardEndsWithItsTransaction(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	set := &wire.Set{}
	c := set.Wrap(client)
	defer c.Close()
	for i := range 3 {
		req, replies := request("incr a"), "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"
		if i == 1 {
			req, replies = "*1\r\n$4\r\nping\r\n", "-ERR max requests limit exceeded\r\n"
		}
		go func() {
			_, _ = io.CopyN(io.Discard, server, int64(len(req)))
			_, _ = io.WriteString(server, replies)
		}()
		if _, err := io.WriteString(c, req); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(replies))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != replies {
			t.Fatalf("exchange %d: %q, %v", i+1, got, err)
		}
	}
}

// FuzzGuard gives the guard arbitrary replies: it must end, and give out nothing that did not come.
func FuzzGuard(f *testing.F) {
	f.Add([]byte("+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"), uint8(3))
	f.Add([]byte("-ERR x\r\n:1\r\n-ERR y\r\n"), uint8(1))
	f.Add([]byte("*99999999999\r\n$-5\r\n|3\r\n"), uint8(2))
	f.Fuzz(func(t *testing.T, replies []byte, piece uint8) {
		got, err := exchange(t, request("incr a"), string(replies), int(piece)+1)
		if err == nil && got != "" && !bytes.Contains(replies, []byte(got)) && !strings.HasPrefix(got, "-") {
			t.Errorf("read %q of replies %q", got, replies)
		}
	})
}

func TestSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		var calls atomic.Int64
		began := time.Now()
		set := &wire.Set{Silence: time.Second, Silent: func(since time.Time) {
			if first := time.Since(began) < 10*time.Second; first && !since.Equal(began) {
				t.Errorf("silent since %v, want the time of the request", since)
			}
			calls.Add(1)
		}}
		c := set.Wrap(client)
		go io.Copy(io.Discard, server)
		_, _ = c.Write([]byte("x"))
		_ = c.SetReadDeadline(began.Add(10 * time.Second))
		_, err := c.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 10*time.Second {
			t.Errorf("read ended with %v after %v, want its own deadline", err, time.Since(began))
		}
		if n := calls.Load(); n != 4 { // after 1, 3 and 7 s, and when it gives up
			t.Errorf("told %d times, want 4", n)
		}
		_ = c.SetReadDeadline(time.Time{})
		go func() {
			time.Sleep(5 * time.Second)
			set.Kill(errors.New("killed"))
		}()
		if _, err := c.Read(make([]byte, 1)); err == nil || err.Error() != "killed" {
			t.Errorf("a killed reader: %v", err)
		}
		_ = c.Close()
		if set.Len() != 0 || set.Dialed() != 1 {
			t.Errorf("%d connections of %d are left", set.Len(), set.Dialed())
		}
	})
}

func TestHeardSince(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		set := &wire.Set{Silence: time.Second, Silent: func(time.Time) {}}
		c := set.Wrap(client)
		defer c.Close()
		sent := time.Now()
		_ = c.SetReadDeadline(sent.Add(time.Minute))
		go func() {
			time.Sleep(3 * time.Second)
			_, _ = server.Write([]byte("x"))
		}()
		if set.HeardSince(sent) {
			t.Error("heard before anything came")
		}
		_, _ = c.Read(make([]byte, 1))
		if !set.HeardSince(sent) || set.HeardSince(sent.Add(time.Millisecond)) {
			t.Error("a reply counts for requests sent before it, and for none after")
		}
	})
}

func TestWrapKeepsTheDoors(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	tcp, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	set := &wire.Set{}
	if _, ok := set.Wrap(tcp).(syscall.Conn); !ok {
		t.Error("a TCP connection lost its SyscallConn: go-redis no longer notices dead ones")
	}
	pipe, _ := net.Pipe()
	if _, ok := set.Wrap(pipe).(syscall.Conn); ok {
		t.Error("a pipe has got a SyscallConn")
	}
	set.Kill(io.EOF)
}

// A connection whose EXEC was refused is not used again: the server may still be inside MULTI.
func TestSpentConnection(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	set := &wire.Set{}
	c := set.Wrap(client)
	defer c.Close()
	req := request("incr a")
	go func() {
		_, _ = io.CopyN(io.Discard, server, int64(len(req)))
		_, _ = io.WriteString(server, "+OK\r\n+QUEUED\r\n-ERR max requests limit exceeded\r\n")
	}()
	_, _ = io.WriteString(c, req)
	buf := make([]byte, 200)
	for range 3 {
		_, _ = c.Read(buf)
		if bytes.Contains(buf, []byte("max requests")) {
			break
		}
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, wire.ErrStale) || !errors.Is(err, io.EOF) {
		t.Errorf("write on it: %v, want ErrStale", err)
	}
}

// Readers that give up before the silence is long enough make one together.
func TestShortDeadlinesAddUpToASilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []time.Duration
		began := time.Now()
		set := &wire.Set{Silence: time.Second, Silent: func(since time.Time) { told = append(told, since.Sub(began)) }}
		give := func(answer bool) {
			client, server := net.Pipe()
			c := set.Wrap(client)
			_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			if answer {
				go server.Write([]byte("x"))
			}
			_, _ = c.Read(make([]byte, 1))
			_, _ = c.Close(), server.Close()
		}
		for range 3 {
			give(false)
		}
		if len(told) != 0 {
			t.Errorf("told after 0.9 s of silence: %v", told)
		}
		give(true)
		for range 4 {
			give(false)
		}
		if len(told) != 1 || told[0] != 900*time.Millisecond {
			t.Errorf("told %v, want once, of a silence that began after the answer at 0.9 s", told)
		}
	})
}
