package fallback

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// How long a connection of local waits for the next command of its Conn. go-redis does not tell when a
// Conn is closed, so it is given back to local when it has not been used for a while, and opened again
// where it is missed. One that holds a WATCH or a MULTI is given up later: its EXEC fails then.
const (
	seatIdle  = 10 * time.Second
	seatArmed = time.Minute
)

// seat is the state that a Conn or a Watch has put its connection in, and the connection of local that
// stands in for it while local serves. It has no way back to its instance, so that one that nobody
// uses any more is collected and the connection released.
type seat struct {
	h *Hook

	mu      sync.Mutex      // held during a command: a session is one command at a time
	armed   bool            // between WATCH or MULTI and EXEC
	on      Backend         // where
	term    uint64          // in which of its terms
	aborted bool            // a switch came between: nothing of this transaction may run any more
	told    bool            // and its caller has been told
	multi   bool            // it began with MULTI, or MULTI by hand was sent in it
	watched bool            // it began with WATCH
	queued  []journal.Noted // between MULTI and EXEC on local
	// What was queued between MULTI and EXEC on the primary, for the mirror.
	mirrored []redis.Cmder
	left     string // what takes away that it has left on the primary's connection
	fixed    bool   // in a state that cannot be carried over: it stays on the primary
	dress    dress  // what the connection in use is to look like
	worn     dress  // what the primary's looks like

	conn   *redis.Conn // of local
	pooled bool        // it is one of local's pool
	clean  bool        // and may go back there, once nothing is watched on it any more
	idle   *time.Timer
}

// dress is the part of a connection's state that moves with it.
type dress struct {
	db, name string // of SELECT and CLIENT SETNAME; "" is the client's own
	changed  bool
}

// dropped is called when the instance has been collected, where it must not wait: giving a connection
// back may take a round trip.
func (s *seat) dropped() {
	s.mu.Lock()
	held := s.conn != nil
	s.mu.Unlock()
	if held {
		go func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.release()
		}()
	}
}

func (s *seat) arm(on Backend, term uint64) {
	s.armed, s.aborted, s.told, s.on, s.term = true, false, false, on, term
}

// began sees a command that arms.
func (s *seat) began(args []any) {
	s.multi = s.multi || command.Is(args, "multi")
	s.watched = s.watched || command.Is(args, "watch")
}

// disarm ends a transaction. A connection that was taken for it alone goes back.
func (s *seat) disarm() {
	s.armed, s.aborted, s.told, s.multi, s.watched, s.queued, s.mirrored = false, false, false, false, false, nil, nil
	if !s.dress.changed {
		s.release()
	}
}

// abort gives a transaction up that a switch has met. What was watched on the primary is left to the
// connection, which the pool does not hand out again.
func (s *seat) abort() {
	s.aborted = true
	switch {
	case s.on == Local:
		s.release()
	case s.multi:
		s.left = "discard"
	case s.left == "":
		s.left = "unwatch"
	}
}

// release gives the connection of local back. s.mu is held.
func (s *seat) release() {
	if s.conn == nil {
		return
	}
	conn := s.conn
	s.conn = nil
	s.idle.Stop()
	switch {
	case s.pooled && !s.clean:
		// Close would give it back as it is, unless it has ended: PING sees the end.
		send(conn, "quit", "ping")
	case s.pooled && s.armed && s.on == Local:
		send(conn, "discard", "unwatch") // MULTI may have been sent, or not
	}
	_ = conn.Close()
	s.h.sessions.Add(-1)
}

func send(conn *redis.Conn, names ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, name := range names {
		_ = conn.Process(ctx, &once{Cmder: redis.NewStatusCmd(ctx, name)})
	}
}

// expire is called when the connection has not been used for a while.
func (s *seat) expire() {
	if !s.mu.TryLock() {
		return // in use: the command sets the time anew
	}
	defer s.mu.Unlock()
	if s.armed && s.on == Local {
		s.aborted = true
	}
	s.release()
}

// used sets the time anew at which the connection is given back.
func (s *seat) used() {
	if s.conn == nil {
		return
	}
	wait := seatIdle
	if s.armed {
		wait = seatArmed
	}
	s.idle.Reset(wait)
}

// local returns the connection of local that is the session's own. key is one of the command's, and
// clean says that the command leaves nothing behind that UNWATCH would not take away.
func (s *seat) local(ctx context.Context, key string, clean bool) (*redis.Conn, error) {
	if s.conn != nil {
		s.clean = s.clean && clean
		if !s.pooled || clean || s.armed {
			return s.conn, nil
		}
		s.release() // one from the pool, where one is wanted that does not go back to it
	}
	pooled := clean && !s.dress.changed
	conn, err := s.h.localConn(ctx, key, pooled)
	if err != nil {
		return nil, err
	}
	s.conn, s.pooled, s.clean = conn, pooled, pooled
	s.idle = time.AfterFunc(seatIdle, s.expire)
	s.h.sessions.Add(1)
	if s.dress.changed {
		if err := s.dress.putOn(ctx, conn.Process); err != nil {
			s.release()
			return nil, err
		}
	}
	return conn, nil
}

// putOn makes a connection look like d.
func (d dress) putOn(ctx context.Context, process redis.ProcessHook) error {
	if d.db != "" {
		if err := process(ctx, redis.NewStatusCmd(ctx, "select", d.db)); err != nil {
			return err
		}
	}
	if d.name != "" {
		return process(ctx, redis.NewStatusCmd(ctx, "client", "setname", d.name))
	}
	return nil
}

// changes sees a command that succeeded.
func (d *dress) changes(args []any) {
	switch {
	case command.Is(args, "select") && len(args) == 2:
		d.db, d.changed = fmt.Sprint(args[1]), true
	case isClient(args, "setname") && len(args) == 3:
		d.name, d.changed = fmt.Sprint(args[2]), true
	}
}

func isClient(args []any, sub string) bool {
	return command.Is(args, "client") && len(args) > 1 && command.Is(args[1:], sub)
}

var errNoSession = errors.New("redis fallback: this kind of local client has no connections of one's own")

// localConn takes a connection out of local's pool. One that is not pooled does not go back to it.
func (h *Hook) localConn(ctx context.Context, key string, pooled bool) (*redis.Conn, error) {
	client, ok := h.local.(*redis.Client)
	if cluster, isCluster := h.local.(*redis.ClusterClient); isCluster {
		node, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return nil, err
		}
		client, ok = node, true
	}
	switch {
	case !ok:
		return nil, errNoSession
	case pooled:
		return client.Conn(), nil
	}
	return client.EphemeralConn(), nil
}
