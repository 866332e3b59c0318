// Package journal keeps, on local, what all processes that share it must agree on: which server serves,
// and every write that local acknowledged and the primary does not have yet.
//
// All of it lies in a database of local of its own, so that nothing of ours stands among the user's keys
// and no FLUSHDB of theirs takes it away. What changes it are scripts: one step, whoever dies when.
package journal

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// DefaultDatabase is the database of local that the journal lies in.
const DefaultDatabase = 15

// Store is the journal and the shared state of one service on one local. It is safe for concurrent use.
type Store struct {
	rdb  *redis.Client // whose connections are in the journal's database
	db   int
	name string

	mirrored bool // local is kept warm
	home     int  // the database that it is kept warm in

	scripts scripts
	version atomic.Uint32
}

// New returns the store of the service of that name, reached through rdb, a client of local whose
// database is db. It does no I/O.
func New(rdb *redis.Client, name string, db int) *Store {
	s := &Store{rdb: rdb, db: db, name: name}
	s.scripts = s.newScripts()
	s.version.Store(oldest)
	return s
}

// Client returns the client of local that the store uses.
func (s *Store) Client() *redis.Client { return s.rdb }

// Database returns the number of the journal's database.
func (s *Store) Database() int { return s.db }

func (s *Store) key(what string) string { return "fallback:" + s.name + ":" + what }

func (s *Store) state() string     { return s.key("state") }
func (s *Store) fence() string     { return s.key("fence") }
func (s *Store) stream() string    { return s.key("journal") }
func (s *Store) kept() string      { return s.key("kept") }
func (s *Store) dead() string      { return s.key("dead") }
func (s *Store) deadlines() string { return s.key("deadlines") }
func (s *Store) redo() string      { return s.key("redo") }
func (s *Store) names() string     { return s.key("names") }
func (s *Store) partial() string   { return s.key("partial") }
func (s *Store) meta() string      { return s.key("mirror") }
func (s *Store) unsure() string    { return s.key("mirror:unsure") }
func (s *Store) processes() string { return s.key("processes") }
func (s *Store) lease(role Role) string {
	return s.key("lease:" + string(role))
}

// Channel is where every change of the record is published.
func (s *Store) Channel() string { return s.key("changed") }

// PositionKey is the key on the primary that says how far the journal of a local has been delivered.
func (s *Store) PositionKey(id string) string { return s.key("position:" + id) }

// FingerprintKey is the key on the primary by which it is known again.
func (s *Store) FingerprintKey() string { return s.key("primary") }

// Timing of the protocol.
const (
	// ClosingTime is how long the journal may be shut before anybody opens it again.
	ClosingTime = 250 * time.Millisecond
	// Retention is how long delivered entries are kept, for a primary that loses its last writes.
	Retention = 10 * time.Minute
	// LeaseTime is how long a lease lasts that its holder does not renew.
	LeaseTime = 10 * time.Second
	// ProcessTime is how long a process counts as alive that has not been heard of.
	ProcessTime = 95 * time.Second
)

// ErrUnfit is about a local that cannot hold a journal.
var ErrUnfit = errors.New("redis fallback: local cannot hold the journal")

// unfit tells an error of a server that lacks something from one of a server that is gone.
func unfit(err error) error {
	var reply redis.Error
	if !errors.As(err, &reply) || errors.Is(err, redis.Nil) {
		return err
	}
	for _, sign := range [...]string{"ERR unknown command", "ERR Unknown Redis command", "NOPERM", "ERR DB index", "ERR invalid DB index", "ERR SELECT is not allowed", "ERR unknown subcommand", "ERR Error compiling script", "WRONGTYPE"} {
		if strings.Contains(reply.Error(), sign) {
			return fmt.Errorf("%w: %w", ErrUnfit, err)
		}
	}
	return err
}
