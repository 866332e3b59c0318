// Package reread gives commands of go-redis replies that came another way than over their own
// connection: many commands run in one script, whose reply is one array, and each command reads its
// part of it as go-redis would have read it.
//
// What reads a reply is not exported by go-redis, and only the readers themselves know what a command
// makes of it. So the commands run through a pipeline of a client whose connection is in memory and
// answers with the replies. Nothing is written, no goroutine is left, and a client is used again.
//
// The readers go by the type of what they read and not by the protocol of the connection, so that
// replies may be those of RESP2 or of RESP3.
package reread

import (
	"errors"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
)

// ErrReply says that the bytes are not what they should be: an array with one reply for each command.
// No command has been given anything then.
var ErrReply = errors.New("reread: not one whole reply for each command")

// Reader has the clients that are not in use. Its zero value is ready, and it may be used by any number
// of goroutines. There is no one Reader for the whole process: its clients are made where they are
// first wanted, and what belongs to a test's bubble must not be met outside of it.
type Reader struct {
	mu     sync.Mutex
	idle   []*seat // guarded by mu
	closed bool    // guarded by mu
}

// maxIdle bounds the clients that are kept, of about 8 KiB each. More than one is in use only while
// that many goroutines run at the same time, or write to a RawWriteToCmd's writer that is slow.
const maxIdle = 32

// Answer gives each command the reply that stands for it in raw, the bytes of an array of len(cmds)
// replies, as a redis.RawCmd returns it. Each command has its own value and its own error afterwards,
// redis.Nil among them; an error that it had before is forgotten. As in a pipeline of go-redis, a
// reply that a command cannot parse is the error of this command and of all that follow.
//
// Answer returns an error, ErrReply, only if raw is not such an array. It takes no context, as nothing
// is waited for: a reply that is here is read, whether its caller has given up or not.
func (r *Reader) Answer(raw []byte, cmds []redis.Cmder) error {
	n, body, err := elements(raw)
	if err != nil {
		return err
	}
	if n != len(cmds) {
		return fmt.Errorf("%w: %d replies for %d commands", ErrReply, n, len(cmds))
	}
	rest := body
	for range n {
		size, err := replyLen(rest)
		if err != nil {
			return err
		}
		rest = rest[size:]
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrReply, len(rest))
	}
	r.answer(cmds, body)
	return nil
}

// AnswerEach is Answer with the replies one by one, as Split returns them.
func (r *Reader) AnswerEach(replies [][]byte, cmds []redis.Cmder) error {
	if len(replies) != len(cmds) {
		return fmt.Errorf("%w: %d replies for %d commands", ErrReply, len(replies), len(cmds))
	}
	for i, reply := range replies {
		size, err := replyLen(reply)
		if err != nil {
			return fmt.Errorf("%w (reply %d)", err, i)
		}
		if size != len(reply) {
			return fmt.Errorf("%w: %d bytes too many after reply %d", ErrReply, len(reply)-size, i)
		}
	}
	r.answer(cmds, replies...)
	return nil
}

// answer lets the commands read the replies, which have been found whole.
func (r *Reader) answer(cmds []redis.Cmder, replies ...[]byte) {
	if len(cmds) == 0 {
		return
	}
	s := r.take()
	if s.read(cmds, replies); !s.clean() || !r.give(s) {
		_ = s.client.Close()
	}
}

func (r *Reader) take() *seat {
	r.mu.Lock()
	n := len(r.idle)
	if n == 0 {
		r.mu.Unlock()
		return newSeat()
	}
	s := r.idle[n-1]
	r.idle = r.idle[:n-1]
	r.mu.Unlock()
	return s
}

// give reports that the seat has found a place.
func (r *Reader) give(s *seat) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.idle) == maxIdle {
		return false
	}
	r.idle = append(r.idle, s)
	return true
}

// Close ends the clients. A Reader that is closed still reads, with a client for each call.
func (r *Reader) Close() {
	r.mu.Lock()
	idle := r.idle
	r.idle, r.closed = nil, true
	r.mu.Unlock()
	for _, s := range idle {
		_ = s.client.Close()
	}
}
