package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis-fallback/fallback/internal/wire"
)

// End comes after what was delivered, and nothing after it.
func TestTapEnd(t *testing.T) {
	t.Parallel()
	client, server, e := listening(t, &wire.Set{})
	sends(t, client, server, command("subscribe", "c"))
	over, again := errors.New("over"), errors.New("again")
	e.conn.Deliver([]byte("ab"), false)
	e.conn.End(over)
	e.conn.End(again)
	e.conn.Deliver([]byte("cd"), true)
	got, err := io.ReadAll(client)
	if string(got) != "ab" || !errors.Is(err, over) {
		t.Errorf("read %q, %v; want ab, and the first end", got, err)
	}
	if _, err := io.WriteString(client, command("ping")); !errors.Is(err, over) || len(e.commands()) != 1 {
		t.Errorf("a write after the end: %v, heard %v", err, e.commands())
	}
}

// Closing wakes who reads and who delivers, and is told once.
func TestTapClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server, e := listening(t, &wire.Set{})
		sends(t, client, server, command("subscribe", "c"))
		done := make(chan error, 2)
		go func() {
			_, err := client.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		_ = client.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the reader ended with %v", err)
		}
		_ = client.Close()
		synctest.Wait()
		if e.closed != 1 || len(e.gone) != 1 {
			t.Errorf("closed %d times, gone %v", e.closed, e.gone)
		}
		e.conn.Deliver([]byte("to nobody"), true)

		client, server, e = listening(t, &wire.Set{})
		sends(t, client, server, command("subscribe", "c"))
		e.conn.Deliver(make([]byte, 2<<20), true)
		go func() {
			e.conn.Deliver([]byte("x"), true)
			done <- nil
		}()
		synctest.Wait()
		if len(done) != 0 {
			t.Error("who delivers to a slow client does not wait")
		}
		_ = client.Close()
		<-done
	})
}

// Who has much unread holds messages back, or is cut off.
func TestTapSlowClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server, e := listening(t, &wire.Set{})
		sends(t, client, server, command("subscribe", "c"))
		big := bytes.Repeat([]byte("x"), 1<<20)
		delivered := make(chan int, 100)
		go func() {
			for i := range 10 {
				e.conn.Deliver(big, true)
				delivered <- i
			}
		}()
		synctest.Wait()
		if n := len(delivered); n == 0 || n > 3 {
			t.Errorf("%d MiB wait for a client that does not read", n)
		}
		reads(t, client, string(bytes.Repeat(big, 10)))
		synctest.Wait()
		if len(delivered) != 10 {
			t.Errorf("%d of 10 delivered", len(delivered))
		}

		for range 40 {
			e.conn.Deliver(big, false)
		}
		if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, wire.ErrSlow) {
			t.Errorf("a client that does not read: %d, %v; want ErrSlow", n, err)
		}
		if _, err := io.WriteString(client, command("ping")); !errors.Is(err, wire.ErrSlow) {
			t.Errorf("its write: %v", err)
		}
	})
}

// The server's end is the Subscriber's business: the client hears of it when it is told.
func TestTapServersEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := &wire.Set{Silence: time.Second, Silent: func(time.Time) {}}
		client, server, e := listening(t, set)
		sends(t, client, server, command("subscribe", "c"))
		_, _ = io.WriteString(server, ">1\r\n$1")
		_ = server.Close()
		synctest.Wait()
		if len(e.frames) != 0 || len(e.gone) != 1 {
			t.Errorf("frames %q, gone %v", e.frames, e.gone)
		}
		_ = client.SetReadDeadline(time.Now().Add(time.Minute))
		go e.conn.Deliver([]byte("x"), true)
		reads(t, client, "x")

		client, server, e = listening(t, set)
		sends(t, client, server, command("subscribe", "c"))
		hung := errors.New("hung")
		set.Kill(hung)
		synctest.Wait()
		if len(e.gone) != 1 || !errors.Is(e.gone[0], hung) {
			t.Errorf("killed: gone %v", e.gone)
		}
	})
}

// A subscriber's server that is silent is one that Silent is told of, and what it says then is heard.
func TestTapSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told int
		began := time.Now()
		client, server, e := listening(t, &wire.Set{Silence: time.Second, Silent: func(time.Time) { told++ }})
		sends(t, client, server, command("subscribe", "c"))
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if told != 3 { // after 1, 3 and 7 s
			t.Errorf("told %d times in %v", told, time.Since(began))
		}
		_, _ = io.WriteString(server, "+x\r\n")
		synctest.Wait()
		if len(e.frames) != 1 {
			t.Errorf("heard %q", e.frames)
		}
	})
}

// A pool never hands out a subscriber's connection.
func TestTappedConnectionIsNotReused(t *testing.T) {
	t.Parallel()
	conn, server := plain(t, &wire.Set{Subscriber: func(c *wire.Conn) wire.Subscriber { return &ear{conn: c} }})
	if !reusable(conn) {
		t.Fatal("not reusable before")
	}
	sends(t, conn, server, command("subscribe", "c"))
	if _, err := conn.(syscall.Conn).SyscallConn(); !errors.Is(err, wire.ErrStale) {
		t.Errorf("SyscallConn: %v, want ErrStale", err)
	}
}
