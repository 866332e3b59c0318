package mirror

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// intents is the connection that claims are sent on.
type intents struct {
	wire atomic.Pointer[wire]
	deaf atomic.Bool // there is none, or it takes no more: everything is claimed, by the flusher
}

// wire is a connection to local that answers nothing, written to by every goroutine that claims.
//
// Nothing must ever arrive on it: where bytes lie unread when a process is killed, the kernel resets the
// connection instead of delivering what was written.
type wire struct {
	client *redis.Client
	conn   *redis.Conn
	raw    syscall.RawConn
	prefix string // of a claim, up to its slot
	sent   atomic.Uint32
}

var errNoWire = errors.New("claims need a plain socket")

// dialWire connects, as rdb does: go-redis makes the connection, and we take its socket.
func dialWire(ctx context.Context, rdb *redis.Client, key string) (*wire, error) {
	opts := *rdb.Options()
	opts.PoolSize, opts.MinIdleConns, opts.MaxIdleConns = 1, 0, 0
	var socket net.Conn
	dial := opts.Dialer
	opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		socket = c
		return c, err
	}
	w := &wire{client: redis.NewClient(&opts)}
	w.conn = w.client.Conn()
	if err := w.conn.Ping(ctx).Err(); err != nil {
		w.close()
		return nil, err
	}
	s, ok := socket.(syscall.Conn)
	if !ok {
		w.close()
		return nil, errNoWire
	}
	raw, err := s.SyscallConn()
	if err != nil {
		w.close()
		return nil, errNoWire
	}
	w.raw = raw
	if t, ok := socket.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(4 << 20)
	}
	w.prefix = "*4\r\n$6\r\nSETBIT\r\n$" + strconv.Itoa(len(key)+2) + "\r\n" + key + ":"
	off := senders.Get().(*sender)
	defer senders.Put(off)
	off.b = append(off.b[:0], "*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n"...)
	if !w.send(off) {
		w.close()
		return nil, errNoWire
	}
	return w, nil
}

func (w *wire) close() {
	_ = w.conn.Close()
	_ = w.client.Close()
}

// claim sends the intent to write a key of a bucket. It does not wait: false is that there is no room, or
// no connection.
func (w *wire) claim(g *generation, bucket uint32) bool {
	// The room that is left is for the claim of everything.
	if bucket != buckets && w.sent.Add(1)%64 == 0 && w.crowded() {
		return false
	}
	s := senders.Get().(*sender)
	defer senders.Put(s)
	s.b = append(s.b[:0], w.prefix...)
	s.b = append(s.b, byte('0'+g.slot), '\r', '\n', '$')
	digits := 1
	for n := bucket; n >= 10; n /= 10 {
		digits++
	}
	s.b = append(s.b, byte('0'+digits), '\r', '\n')
	s.b = strconv.AppendUint(s.b, uint64(bucket), 10)
	s.b = append(s.b, "\r\n$1\r\n1\r\n"...)
	return w.send(s)
}

// sender is one write on a socket.
type sender struct {
	b     []byte
	done  bool
	write func(fd uintptr) bool // try, bound: that allocates
}

var senders = sync.Pool{New: func() any {
	s := new(sender)
	s.write = s.try
	return s
}}

// send writes all of s.b at once, or reports false.
func (w *wire) send(s *sender) bool {
	s.done = false
	err := w.raw.Write(s.write)
	return err == nil && s.done
}
