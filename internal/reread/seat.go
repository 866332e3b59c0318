package reread

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// seat is a client of go-redis whose one connection is in memory. It serves one caller at a time.
type seat struct {
	client *redis.Client
	wire   wire

	// The commands between two of our own. go-redis repeats a pipeline whose first command met an
	// error such as LOADING, and closes the connection at READONLY: the first is ours, and meets none.
	// The last tells whether each command has read its own reply and nothing else.
	first, last *redis.StatusCmd
	readers     []reader
	line        []redis.Cmder
}

// kept bounds the commands for which a seat keeps its memory.
const kept = 1024

func newSeat() *seat {
	ctx := context.Background()
	s := &seat{first: redis.NewStatusCmd(ctx), last: redis.NewStatusCmd(ctx)}
	s.client = redis.NewClient(&redis.Options{
		Network: "memory", Addr: "reread",
		Dialer:   s.wire.dial,
		Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		PoolSize:                 1, PipelinePoolSize: -1, ConnMaxIdleTime: -1,
		ReadTimeout: -2, WriteTimeout: -2, // -2: no deadline is set
		ReadBufferSize: 4096, WriteBufferSize: 64,
	})
	return s
}

// read lets each command read its part of the replies.
func (s *seat) read(cmds []redis.Cmder, replies [][]byte) {
	s.readers, s.line = s.readers[:0], append(s.line[:0], s.first)
	for _, cmd := range cmds {
		s.readers = append(s.readers, reader{cmd})
	}
	for i := range s.readers {
		// go-redis keeps an error that a command already has, and some do not read at all then.
		s.readers[i].SetErr(nil)
		s.line = append(s.line, &s.readers[i])
	}
	s.line = append(s.line, s.last)
	s.first.SetErr(nil)
	s.last.SetErr(nil)
	s.last.SetVal("")
	s.wire.answer(replyFirst, replies, replyLast)

	pipe := s.client.Pipeline()
	_ = pipe.BatchProcess(context.Background(), s.line...)
	_, _ = pipe.Exec(context.Background()) // the first error among them: each command keeps its own

	// A command that reads more or less than its reply leaves those after it with replies of others. No
	// command of go-redis is known to do so, but a wrong value is worse than an error.
	if err := s.last.Err(); errors.Is(err, errStep) || err == nil && s.last.Val() != last {
		for i := range s.readers {
			s.readers[i].SetErr(errStep)
		}
	}
}

// clean lets go of what was read, and reports that the seat can read again: nothing is left on its
// connection.
func (s *seat) clean() bool {
	if s.last.Err() != nil || s.last.Val() != last || len(s.line) > kept {
		return false
	}
	clear(s.line)
	clear(s.readers)
	clear(s.wire.replies)
	return true
}

// reader is a command that is read and not written. Its arguments have been marshalled for the script
// already; once more would cost time, and may fail.
type reader struct{ redis.Cmder }

func (*reader) Args() []any { return nil }

const last = "read"

var replyFirst, replyLast = []byte("+OK\r\n"), []byte("+" + last + "\r\n")
