package wire_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/wire"
)

// plain returns a connection of set that is a socket, set up as go-redis does, and the server's end.
func plain(t *testing.T, set *wire.Set) (conn, server net.Conn) {
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
	conn = set.Wrap(c)
	t.Cleanup(func() { _, _ = conn.Close(), server.Close() })
	trip(t, conn, server, command("hello", "3"), "%1\r\n+server\r\n+redis\r\n")
	return conn, server
}

// reusable reports whether a pool that looks at the socket would hand the connection out.
func reusable(conn net.Conn) bool {
	_, err := conn.(syscall.Conn).SyscallConn()
	return err == nil
}

// trip makes one request and reads one reply, of which the client may be shown less.
func trip(t *testing.T, conn, server net.Conn, request, reply string) {
	t.Helper()
	sends(t, conn, server, request)
	if _, err := io.WriteString(server, reply); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	defer conn.SetReadDeadline(time.Time{})
	if strings.HasPrefix(request, multi) && strings.HasPrefix(reply, "-") && len(request) > len(multi) {
		reply = reply[:strings.Index(reply, "\n")+1]
	}
	reads(t, conn, reply)
}

// What WATCH leaves on a connection is known until something has taken it away for sure.
func TestWatchLeftBehind(t *testing.T) {
	t.Parallel()
	const quota = "-ERR max requests limit exceeded\r\n"
	tx := request("incr a")
	type step struct{ request, reply string }
	watch := step{command("watch", "k"), "+OK\r\n"}
	hand := []step{watch, {multi, "+OK\r\n"}, {command("incr", "a"), "+QUEUED\r\n"}}
	for _, c := range []struct {
		name  string
		steps []step
		want  bool
	}{
		{"nothing", []step{{command("get", "watch"), "$-1\r\n"}}, true},
		{"WATCH", []step{watch}, false},
		{"WATCH in capitals", []step{{command("WATCH", "k"), "+OK\r\n"}}, false},
		{"WATCH, then a read", []step{watch, {command("get", "k"), "$-1\r\n"}}, false},
		{"UNWATCH", []step{watch, {command("unwatch"), "+OK\r\n"}}, true},
		{"UNWATCH in capitals", []step{watch, {command("UnWatch"), "+OK\r\n"}}, true},
		{"UNWATCH refused", []step{watch, {command("unwatch"), quota}}, false},
		{"UNWATCH refused, then accepted", []step{watch, {command("unwatch"), quota}}, false},
		{"DISCARD", []step{watch, {command("discard"), "+OK\r\n"}}, true},
		{"DISCARD refused", []step{watch, {command("discard"), "-ERR DISCARD without MULTI\r\n"}}, false},
		{"EXEC ran", []step{watch, {tx, "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"}}, true},
		{"EXEC nil, RESP2", []step{watch, {tx, "+OK\r\n+QUEUED\r\n*-1\r\n"}}, true},
		{"EXEC nil, RESP3", []step{watch, {tx, "+OK\r\n+QUEUED\r\n_\r\n"}}, true},
		{"EXECABORT", []step{watch, {tx, "+OK\r\n-ERR x\r\n-EXECABORT y\r\n"}}, true},
		{"EXEC refused", []step{watch, {tx, "+OK\r\n+QUEUED\r\n" + quota}}, false},
		{"MULTI refused", []step{watch, {tx, quota + quota + "-ERR EXEC without MULTI\r\n"}}, false},
		{"MULTI refused, nothing watched", []step{{tx, quota + quota + "-ERR EXEC without MULTI\r\n"}}, true},
		{"EXEC refused, nothing watched", []step{{tx, "+OK\r\n+QUEUED\r\n" + quota}}, false},
		{"WATCH again after EXEC", []step{watch, {tx, "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"}, watch}, false},

		{"by hand, MULTI", hand, false},
		{"by hand, MULTI in capitals", []step{{command("MULTI"), "+OK\r\n"}}, false},
		{"by hand, EXEC", append(hand[:3:3], step{command("exec"), "*1\r\n:1\r\n"}), true},
		{"by hand, EXEC refused", append(hand[:3:3], step{command("exec"), quota}), false},
		{"by hand, EXECABORT", append(hand[:3:3], step{command("exec"), "-EXECABORT x\r\n"}), true},
		{"by hand, DISCARD", append(hand[:3:3], step{command("discard"), "+OK\r\n"}), true},
		{"by hand, DISCARD, then a transaction", append(hand[:3:3], step{command("discard"), "+OK\r\n"}, step{tx, "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"}), true},
		{"at once, DISCARD", []step{{multi + command("incr", "a") + command("discard"), "+OK\r\n+QUEUED\r\n+OK\r\n"}, {tx, "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn, server := plain(t, &wire.Set{})
			for _, s := range c.steps {
				trip(t, conn, server, s.request, s.reply)
			}
			if got := reusable(conn); got != c.want {
				t.Errorf("reusable %v, want %v", got, c.want)
			}
		})
	}
}

// A MULTI by hand that is refused is answered at once: nothing that is still to come may be waited for.
func TestMultiByHandIsRefused(t *testing.T) {
	t.Parallel()
	conn, server := plain(t, &wire.Set{})
	trip(t, conn, server, multi, "-ERR max requests limit exceeded\r\n")
	trip(t, conn, server, command("incr", "a"), ":1\r\n")
}

// A connection that is handed out with a WATCH on it all the same is not written to.
func TestWatchedConnectionIsHandedOut(t *testing.T) {
	t.Parallel()
	conn, server := plain(t, &wire.Set{})
	trip(t, conn, server, command("watch", "k"), "+OK\r\n")
	_ = conn.SetDeadline(time.Time{}) // as the pool does
	if _, err := io.WriteString(conn, command("get", "k")); !errors.Is(err, wire.ErrStale) {
		t.Errorf("write: %v, want ErrStale", err)
	}
}
