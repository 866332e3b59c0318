package fallback_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// undialed is a hook that fails the first batch as go-redis does when it gets no connection: only
// commands without an error are given one.
type undialed struct{ done bool }

func (*undialed) DialHook(redis.DialHook) redis.DialHook          { return nil }
func (*undialed) ProcessHook(redis.ProcessHook) redis.ProcessHook { return nil }
func (u *undialed) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if u.done {
			return next(ctx, cmds)
		}
		u.done = true
		err := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		for _, cmd := range cmds {
			if cmd.Err() == nil {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

// A command that is used again still has the error of the last time, and go-redis gives a SHUTDOWN
// one when it is queued. Such an error must not pass for the answer of a batch that is sent again.
func TestBatchOfCommandsThatHaveErrors(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.AddHook(&undialed{})
	cmd := redis.NewIntCmd(ctx, "incr", "n")
	cmd.SetErr(errors.New("of an earlier use"))
	_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		return pipe.BatchProcess(ctx, redis.NewIntCmd(ctx, "incr", "m"), cmd)
	})
	// An error of a dial that the hook has not seen itself is that of five: it switches.
	n := get(t, p.primary, "n") + get(t, p.local, "n")
	if err != nil || cmd.Err() != nil || n != "1" {
		t.Errorf("sent again: %v, %v, n = %q; want 1", err, cmd, n)
	}
}
