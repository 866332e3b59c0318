package journal

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// queue is what a transaction sends between MULTI and EXEC. The next one uses its memory again: a new
// command for each entry was a fifth of what a drain left to the garbage collector.
type queue struct {
	cmds    []redis.Cmder
	at      []int // which command of the transaction each is, or one of ours
	shelves [mostShelved + 1]shelf
}

// mostShelved is the most arguments of a command whose memory is kept.
const mostShelved = 8

// shelf holds commands of one number of arguments, of which the first ones are in use.
type shelf struct {
	all  []queued
	used int
}

type queued struct {
	cmd  *redis.StatusCmd
	args []any // those of cmd
}

func (q *queue) reset() {
	q.cmds, q.at = q.cmds[:0], q.at[:0]
	for i := range q.shelves {
		q.shelves[i].used = 0
	}
}

// add queues a command, which is i of the transaction or one of ours.
func (q *queue) add(ctx context.Context, i int, args []string) {
	c := q.command(ctx, len(args))
	for j := range args {
		c.args[j] = &args[j] // a pointer needs no memory of its own, unlike a string
	}
	q.cmds, q.at = append(q.cmds, c.cmd), append(q.at, i)
}

func (q *queue) command(ctx context.Context, n int) queued {
	if n > mostShelved {
		return newQueued(ctx, n)
	}
	s := &q.shelves[n]
	if s.used == len(s.all) {
		s.all = append(s.all, newQueued(ctx, n))
	}
	c := s.all[s.used]
	s.used++
	c.cmd.SetErr(nil)
	c.cmd.SetVal("")
	return c
}

func newQueued(ctx context.Context, n int) queued {
	args := make([]any, n)
	return queued{redis.NewStatusCmd(ctx, args...), args}
}
