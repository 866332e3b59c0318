package journal

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// transaction is what runs on the primary in one step.
type transaction struct {
	to       position
	finger   string // the fingerprint to be written, "" none
	known    string // the one to be written again behind a command that may have taken it away
	commands []command
	reset    bool  // there is such a command
	more     bool  // another one will follow
	failed   error // the position could not be set, though the transaction ran
	now      int64 // local's clock
}

// cost is how many commands it takes, but WATCH and MGET.
func (t *transaction) cost() int64 {
	n := int64(len(t.commands)) + 3 // MULTI, SET, EXEC
	if t.reset {
		n++
	}
	db := ""
	for i := range t.commands {
		if t.commands[i].db != db {
			db = t.commands[i].db
			n++
		}
	}
	if db != "" {
		n++
	}
	return n
}

// exec runs a transaction, the position before everything else. It returns what came of each command.
func (l *link) exec(ctx context.Context, t *transaction) ([]error, error) {
	// Alone: behind a MULTI that is refused everything would run at once, and unguarded.
	if l.armed == nil {
		l.spent++
		if err := l.conn.Do(ctx, "multi").Err(); err != nil {
			return nil, l.judge("MULTI", err)
		}
	}
	l.armed = nil
	own := func(finger string) []string {
		if finger == "" {
			return []string{"set", l.position, t.to.String()}
		}
		return []string{"mset", l.position, t.to.String(), l.finger, finger}
	}
	q := &l.queue
	q.reset()
	q.add(ctx, ourPosition, own(t.finger))
	db := ""
	turn := func(to string) {
		if to == db {
			return
		}
		db = to
		if to == "" {
			to = l.home
		}
		q.add(ctx, ourSelect, []string{"select", to})
	}
	for i := range t.commands {
		turn(t.commands[i].db)
		q.add(ctx, i, t.commands[i].wire(t.now))
	}
	turn("")
	if t.reset {
		q.add(ctx, ourAgain, own(cmp.Or(t.finger, t.known)))
	}
	l.spent += int64(len(q.at))
	pipe := l.conn.Pipeline()
	_ = pipe.BatchProcess(ctx, q.cmds...)
	cmds, _ := pipe.Exec(ctx)
	if err := l.queued(cmds, q.at); err != nil {
		return nil, err
	}
	return l.commit(ctx, q.at, t)
}

// queued looks whether all commands were queued.
func (l *link) queued(cmds []redis.Cmder, at []int) error {
	var bad *queueError
	for n, cmd := range cmds {
		err := cmd.Err()
		if err == nil {
			if cmd.(*redis.StatusCmd).Val() != "QUEUED" {
				return errors.New("redis fallback: the primary did not queue a command of a transaction")
			}
			continue
		}
		var reply redis.Error
		if !errors.As(err, &reply) || l.refused(err) || at[n] < 0 {
			return l.judge(cmd.Name()+" in MULTI", err)
		}
		if bad == nil {
			bad = &queueError{replies: map[int]error{}}
		}
		bad.replies[at[n]] = err
	}
	if bad != nil {
		return bad
	}
	return nil
}

// commit sends EXEC, and begins the next transaction with it.
func (l *link) commit(ctx context.Context, at []int, t *transaction) ([]error, error) {
	cmd := redis.NewSliceCmd(ctx, "exec")
	l.spent++
	var err error
	if t.more {
		pipe := l.conn.Pipeline()
		_ = pipe.Process(ctx, cmd)
		watched := l.queueWatch(ctx, pipe)
		multi := pipe.Do(ctx, "multi")
		l.spent += 3
		cmds, _ := pipe.Exec(ctx)
		err = cmd.Err()
		if err == nil && cmds[1].Err() == nil && watched.Err() == nil && multi.Err() == nil {
			p, finger := readWatch(watched)
			l.armed = &armed{p, finger}
		} else {
			l.broken = true
		}
	} else {
		err = l.conn.Process(ctx, cmd)
	}
	if err == redis.Nil { //nolint:errorlint // as go-redis returns it
		return nil, errChanged
	}
	if err != nil {
		return nil, l.judge("EXEC", err)
	}
	values := cmd.Val()
	if len(values) != len(at) {
		// It cannot be told what ran. The position will.
		return nil, errors.New("redis fallback: EXEC did not answer for each command, but for " +
			strconv.Itoa(len(values)) + " of " + strconv.Itoa(len(at)))
	}
	errs := make([]error, len(t.commands))
	var astray error
	for i, v := range values {
		err, _ := v.(error)
		switch at[i] {
		case ourPosition:
			t.failed = err
		case ourAgain:
			t.failed = cmp.Or(err, t.failed)
		case ourSelect:
			astray = err
		default:
			if groupIsThere(&t.commands[at[i]], err) {
				err = nil
			}
			errs[at[i]] = cmp.Or(astray, err)
		}
	}
	return errs, nil
}

// groupIsThere reports an XGROUP CREATE of a group that the primary has already, by the program's own hand:
// it is as it should be.
func groupIsThere(c *command, err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "BUSYGROUP ") && strings.EqualFold(c.args[0], "xgroup")
}

// What is queued beside the commands.
const (
	ourPosition = -1 - iota
	ourAgain
	ourSelect
)
