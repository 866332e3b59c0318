// Package mirror keeps local warm: what the primary acknowledged reaches local too, off the caller's path,
// and what local cannot be sure to hold whole and current is absent there.
//
// A call is an interval: Begin before it is sent, Done, Lost or Nothing when it has ended. What it did is
// queued, and one goroutine takes it to local in batches, each of them one script. Local itself decides
// the order: it keeps for half a minute what it knows of the last calls on each key, and where two calls
// may have run either way, the key is deleted. So it does not matter in which order processes arrive.
//
//	Begin ── claims the key ──▶ primary ──▶ Done ──▶ queue ──▶ apply.lua: in order   done
//	             │                                     │          before a whole one  skipped
//	             │ a process that dies:                │ full     else                deleted
//	             ▼ its claimed keys are deleted        ▼
//	           local                                 names, deleted on local
package mirror

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Mirror takes to local what one process writes on the primary. All methods are safe for concurrent use.
type Mirror struct {
	cfg     Config
	home    string // the number of the home database, which is "" in operations
	names   keyNames
	scripts scripts

	fence    atomic.Uint32          // counts the times in which the primary serves
	switched atomic.Int64           // when that was last counted
	seen     atomic.Pointer[string] // the fence's text since then
	self     atomic.Pointer[identity]
	off      atomic.Pointer[string] // why nothing is mirrored; nil: it is
	wasOff   atomic.Bool
	adopts   atomic.Bool // what local holds may be deleted
	token    string      // this process among those that are off
	clock    atomic.Pointer[bounds]
	queue    queue
	lost     names // keys that are unsure, by name alone
	empty    atomic.Bool

	gens    [slots]generation
	current atomic.Pointer[generation]
	intents intents

	met     chan struct{} // closed when local has been met for the first time
	wake    chan struct{}
	idle    atomic.Bool // the flusher waits for wake
	flushes chan chan error
	inspect chan []dead // for the janitor
	ending  <-chan struct{}
	end     context.CancelFunc
	life    context.Context // until Close
	begin   sync.Once
	closing atomic.Bool
	running sync.WaitGroup

	counters counters
	stopped  atomic.Bool
	complete atomic.Bool
	oldest   atomic.Int64 // when the oldest call of the batch that is on its way ended; 0 none
}

// ErrFenced is what Flush returns while the primary does not serve.
var ErrFenced = errors.New("redis fallback: the primary does not serve: nothing is copied from it")

// New returns a mirror. It does no I/O.
func New(cfg Config) *Mirror {
	if cfg.Bytes <= 0 {
		cfg.Bytes = 64 << 20
	}
	if cfg.Ops <= 0 {
		cfg.Ops = 1_000_000
	}
	if cfg.Log == nil {
		cfg.Log = func(slog.Level, string, ...slog.Attr) {}
	}
	if cfg.Cold == nil {
		cfg.Cold = func(string, string) {}
	}
	if cfg.Fenced == nil {
		cfg.Fenced = func() {}
	}
	cfg.Timing.fill()
	m := &Mirror{
		cfg: cfg, home: strconv.Itoa(cfg.Home), names: keyNames{"fallback:" + cfg.Name + ":"},
		met: make(chan struct{}), wake: make(chan struct{}, 1), flushes: make(chan chan error), inspect: make(chan []dead),
	}
	m.token = m.newToken()
	m.life, m.end = context.WithCancel(context.Background())
	m.ending = m.life.Done()
	m.scripts = newScripts(m.names, cfg)
	m.lost.set = map[string]struct{}{}
	for i := range m.gens {
		m.gens[i].slot = i
	}
	m.gens[0].state = genOpen
	m.current.Store(&m.gens[0])
	return m
}

// Start begins to take what is queued to local.
func (m *Mirror) Start() {
	m.begin.Do(func() {
		m.running.Add(2)
		go (&flusher{m: m}).run()
		go (&janitor{m: m}).run()
	})
}

// Ready waits, after Start, until local knows this process, and what begins then is in order: writes before
// that are mirrored too, but as a rule only as keys that are unsure. It returns ErrOff where nothing is
// mirrored, and ctx' error when that ends first.
func (m *Mirror) Ready(ctx context.Context) error {
	select {
	case <-m.met:
	case <-m.ending:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
	if m.off.Load() != nil {
		return m.errOff()
	}
	return nil
}

// Close delivers what is queued, as far as ctx and local allow, and leaves: where local cannot be reached it
// does not wait for it. What could not be delivered stays claimed: another process deletes those keys. Calls
// that end later are not mirrored.
func (m *Mirror) Close(ctx context.Context) error {
	m.closing.Store(true)
	started := true
	m.begin.Do(func() { started = false })
	if !started {
		m.end()
		return nil // nothing was taken to local, and nothing will be
	}
	err := m.Flush(ctx)
	m.end()
	done := make(chan struct{})
	go func() {
		m.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
}

// Timing are the times of the protocol; 0 is the default.
type Timing struct {
	Gather time.Duration // how long the first effect waits for others: 2 ms
	Beat   time.Duration // between two signs of life: 1 s
	Dead   time.Duration // after the last of them: 15 s
	Rotate time.Duration // how long claims are collected that are dropped together: 2 s
	Lost   time.Duration // how long a call may still run whose reply was lost: 10 s, at most 25 s
}

func (t *Timing) fill() {
	for _, d := range []struct {
		to *time.Duration
		is time.Duration
	}{{&t.Gather, 2 * time.Millisecond}, {&t.Beat, time.Second}, {&t.Dead, 15 * time.Second}, {&t.Rotate, 2 * time.Second}, {&t.Lost, 10 * time.Second}} {
		if *d.to <= 0 {
			*d.to = d.is
		}
	}
	t.Lost = min(t.Lost, 25*time.Second)
}

// keyNames are the names of what is ours on local.
type keyNames struct{ prefix string }

func (k keyNames) key(what string) string { return k.prefix + what }

// UnsureKey is the set, in the journal's database, of the keys that a local which is tracked or complete
// does not know: "db|key".
func (m *Mirror) UnsureKey() string { return m.names.key("mirror:unsure") }

// MetaKey is the hash, in the journal's database, of what is known of local as a whole.
func (m *Mirror) MetaKey() string { return m.names.key("mirror") }

// start is where this process' clock begins.
var start = time.Now()

// nanos is this process' clock, which no setting of the time changes. Calls need it this fine: the next
// one may begin within the microsecond.
func nanos() int64 { return int64(time.Since(start)) }

// micros is the same, as fine as local's clock.
func micros() int64 { return nanos() / 1000 }

// newToken is a word that only this process knows.
func (m *Mirror) newToken() string {
	return strings.Join(strings.Fields(m.cfg.Process), "_") + "." + rand.Text()[:10]
}

// identity is what local knows this process by.
type identity struct{ id string }

// another says that what began before is of another time in which the primary served.
func (m *Mirror) another() {
	m.fence.Add(1)
	m.switched.Store(nanos())
}

// client is what a script needs.
type client interface {
	Do(ctx context.Context, args ...any) *redis.Cmd
}
