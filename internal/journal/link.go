package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Errors of a drain.
var (
	// ErrRefused is about a primary that refuses what a drain sends. Nothing of it has run, but what
	// the Progress counts.
	ErrRefused = errors.New("redis fallback: the primary refuses the journal")
	// ErrOtherPrimary is about a primary that is not the one the journal is for.
	ErrOtherPrimary = errors.New("redis fallback: this primary is not the one that the journal is for")
	// ErrBudget ends a drain that may not send more commands.
	ErrBudget = errors.New("redis fallback: the drain has spent its budget of commands")
)

// errChanged is about an EXEC that did nothing: the position has changed since it was read.
var errChanged = errors.New("redis fallback: another drain was faster")

// errArmed is about something that cannot be done within a transaction.
var errArmed = errors.New("redis fallback: a transaction has begun")

// queueError is what the primary said of commands that it did not queue.
type queueError struct{ replies map[int]error }

func (e *queueError) Error() string { return "redis fallback: the primary does not take a command" }

// link is a connection to the primary that one drain has for its own. After any error it is good for
// nothing: what the server thinks of it nobody knows.
type link struct {
	conn     *redis.Conn
	home     string // its database
	position string
	finger   string
	refused  func(error) bool
	known    map[string]error // databases that were selected, and what came of it
	queue    queue
	spent    int64  // commands that were sent
	armed    *armed // the next transaction has begun
	broken   bool   // it is to be used no more
}

// armed is a transaction that has begun: its WATCH, MGET and MULTI went with the EXEC before, which saves
// two of four round trips. None of them does anything if that EXEC is refused, and what follows MULTI is
// sent only once its reply is there.
type armed struct {
	position position
	finger   string
}

func newLink(d *Drain, id string) *link {
	return &link{
		conn: d.Primary.EphemeralConn(), home: d.home(), refused: d.refuses,
		position: d.Store.PositionKey(id), finger: d.Store.FingerprintKey(), known: map[string]error{},
	}
}

// close ends the connection: in the pool its WATCH or MULTI would meet somebody else's command.
func (l *link) close() { _ = l.conn.Close() }

// judge tells a refusal from other errors.
func (l *link) judge(what string, err error) error {
	if err == nil {
		return nil
	}
	if l.refused(err) {
		return fmt.Errorf("%w: %s: %w", ErrRefused, what, err)
	}
	return fmt.Errorf("redis fallback: the drain's %s: %w", what, err)
}

// watch begins to watch the position, and returns it with the fingerprint. fresh is false if that was
// done with the last EXEC.
func (l *link) watch(ctx context.Context) (p position, finger string, fresh bool, err error) {
	if l.armed != nil {
		return l.armed.position, l.armed.finger, false, nil
	}
	pipe := l.conn.Pipeline()
	values := l.queueWatch(ctx, pipe)
	l.spent += 2
	if _, err = pipe.Exec(ctx); err != nil {
		return p, "", true, l.judge("WATCH", err)
	}
	p, finger = readWatch(values)
	return p, finger, true, nil
}

func (l *link) queueWatch(ctx context.Context, pipe redis.Pipeliner) *redis.SliceCmd {
	watch := "watch"
	if Mutate.NoCompare {
		watch = "exists"
	}
	pipe.Do(ctx, watch, l.position, l.finger)
	return pipe.MGet(ctx, l.position, l.finger)
}

func readWatch(cmd *redis.SliceCmd) (p position, finger string) {
	values := cmd.Val()
	if len(values) != 2 {
		return p, ""
	}
	if text, ok := values[0].(string); ok {
		p = parsePosition(text)
	}
	finger, _ = values[1].(string)
	return p, finger
}

// selects makes sure that databases can be selected: a SELECT that failed inside of a transaction would
// let the rest of it run in the database before.
func (l *link) selects(ctx context.Context, commands []command) error {
	for i := range commands {
		db := commands[i].db
		if db == "" {
			continue
		}
		if _, ok := l.known[db]; ok {
			continue
		}
		if l.armed != nil {
			return errArmed
		}
		err := l.conn.Do(ctx, "select", db).Err()
		l.spent++
		var reply redis.Error
		if err != nil && (!errors.As(err, &reply) || l.refused(err)) {
			return l.judge("SELECT", err)
		}
		l.known[db] = err
		if err == nil {
			if err = l.conn.Do(ctx, "select", l.home).Err(); err != nil {
				return l.judge("SELECT", err)
			}
			l.spent++
		}
	}
	return nil
}

// replyError is a part of an error reply.
type replyError string

func (e replyError) Error() string { return string(e) }

// RedisError makes it a redis.Error.
func (replyError) RedisError() {}

// busy are the codes of what a server refuses before it looks at it.
var busy = []string{"LOADING ", "READONLY ", "MASTERDOWN ", "MISCONF ", "NOREPLICAS ", "CLUSTERDOWN ", "TRYAGAIN ", "BUSY ", "NOAUTH ", "OOM "}

// refuses reports an error reply that says nothing of a command, but that the primary takes none now.
func (d *Drain) refuses(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return false
	}
	text := strings.TrimPrefix(reply.Error(), "EXECABORT Transaction discarded because of: ")
	for _, code := range busy {
		if strings.HasPrefix(text, code) {
			return true
		}
	}
	// NOPERM is about one command or its keys, whatever it is elsewhere: the others go on.
	return d.Refused != nil && !strings.HasPrefix(text, "NOPERM ") && d.Refused(replyError(text))
}
