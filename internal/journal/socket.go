package journal

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// socket is a connection to local that only reads the journal. go-redis sets it up, and what comes then is
// read past it, into memory that is used again: its RawCmd lets a large reply grow by a quarter at a
// time, and what that left to the garbage collector was a third of what a drain left.
//
// It is used by one goroutine at a time.
type socket struct {
	client  *redis.Client
	held    *redis.Conn // the connection is its own
	conn    net.Conn    // and this is beneath it
	timeout time.Duration
	buf     []byte
}

const (
	leastBuffer = 64 << 10
	mostBuffer  = 4 << 20 // is kept
)

// openSocket connects with the options of a client.
func openSocket(ctx context.Context, rdb *redis.Client) (*socket, error) {
	opts := *rdb.Options()
	s := &socket{timeout: opts.ReadTimeout, buf: make([]byte, leastBuffer)}
	dial := opts.Dialer
	opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		s.conn = conn
		return conn, err
	}
	opts.Protocol = 2 // nothing comes that was not asked for
	opts.PoolSize, opts.MinIdleConns, opts.MaxIdleConns, opts.MaxRetries = 1, 0, 0, -1
	s.client = redis.NewClient(&opts)
	s.held = s.client.Conn()
	if err := s.held.Ping(ctx).Err(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *socket) close() {
	_ = s.held.Close()
	_ = s.client.Close()
}

// call sends a command and returns its reply as it came. After an error the socket is good for nothing.
func (s *socket) call(ctx context.Context, args ...string) (string, error) {
	deadline, ok := ctx.Deadline()
	if s.timeout > 0 {
		if soon := time.Now().Add(s.timeout); !ok || soon.Before(deadline) {
			deadline = soon
		}
	}
	if err := s.conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })()
	b := s.buf[:0]
	b = append(b, '*')
	b = append(strconv.AppendInt(b, int64(len(args)), 10), "\r\n$"...)
	for i, arg := range args {
		if i > 0 {
			b = append(b, '$')
		}
		b = append(strconv.AppendInt(b, int64(len(arg)), 10), "\r\n"...)
		b = append(append(b, arg...), "\r\n"...)
	}
	if _, err := s.conn.Write(b); err != nil {
		return "", cause(ctx, err)
	}
	reply := replyEnd{missing: 1}
	n := 0
	for {
		if n == len(s.buf) {
			s.buf = append(s.buf, make([]byte, len(s.buf))...)
		}
		m, err := s.conn.Read(s.buf[n:])
		n += m
		if done, bad := reply.find(s.buf[:n]); done || bad != nil {
			text := string(s.buf[:reply.at])
			if len(s.buf) > mostBuffer {
				s.buf = make([]byte, leastBuffer)
			}
			return text, bad
		}
		if err != nil {
			return "", cause(ctx, err)
		}
	}
}

// cause is the context's error where that ended a call.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// replyEnd finds where a reply ends, as more and more of it comes.
type replyEnd struct {
	at      int // up to here it has been read
	missing int // so many values
}

var errProtocol = errors.New("redis fallback: local does not speak the protocol")

func (r *replyEnd) find(b []byte) (done bool, err error) {
	for r.missing > 0 {
		rest := b[r.at:]
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return false, nil
		}
		n := 0 // values or bytes more
		switch kind, size := rest[0], 0; kind {
		case '*', '$':
			for _, digit := range rest[1:end] {
				if digit < '0' || digit > '9' { // the end, or -1 for none
					break
				}
				if size = 10*size + int(digit-'0'); size > maxReply {
					return false, errProtocol
				}
			}
			if kind == '*' {
				r.missing += size
			} else if rest[1] != '-' {
				n = size + 2
			}
		case '+', '-', ':':
		default:
			return false, errProtocol
		}
		if end+1+n > len(rest) {
			return false, nil
		}
		r.at += end + 1 + n
		r.missing--
	}
	return true, nil
}

// maxReply bounds the numbers in a reply.
const maxReply = 1 << 30
