// Package fallback is a go-redis hook that keeps a program working when its hosted Redis refuses
// (quota) or is gone (outage): the same calls are answered by a second, local Redis, and the hook
// returns by itself when the first one is well.
//
//	h := fallback.New(local)
//	rdb.AddHook(h)
//	defer h.Shutdown(context.Background())
//
// The words used: the primary is the hosted Redis behind the client that carries the hook; local is
// the second one. A command is refused when it provably did not run, and lost when it may have run
// and its reply never came. A trip is the switch to local, a return the switch back.
//
// While the primary serves, a command passes through for the price of an atomic load, a look at its
// name and a counter. Only a limit refusal, or a breaker that opens, trips; a refused command is then
// replayed on local, a lost one only if running it twice is harmless by its name and arguments.
//
// All processes that share a local are on the same server: a record on local says which. While local serves,
// each write is one step with its entry in a journal there; the return delivers the journal before the
// primary serves, each write once, in order per key. Pin and Unpin are for all processes too, and return an
// error where local, which keeps the pin, does not answer.
//
// A Watch runs whole on the server that serves; one that a switch meets ends in redis.TxFailedErr, so
// that its caller's own loop begins again. A Conn moves with its SELECT and its name. Subscriptions are
// heard on both servers all the time. A cursor of the other server is ErrRestartScan.
package fallback

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// Hook is a redis.Hook. Add it to a *redis.Client with AddHook, before hooks that should see only
// what the primary is asked, after hooks that should see every call. It is safe for concurrent use.
// The client may be one of NewClient or NewFailoverClient; to a *redis.ClusterClient add it with
// AddToCluster. A *redis.Ring that carries it answers every call with ErrRing.
//
// One Hook may be added to several clients of one primary: they share its state. Clients of another
// primary need a Hook of their own.
type Hook struct {
	cfg   config
	local redis.UniversalClient
	share *share // nil: local is no single server, or no journal is wanted
	off   bool   // never acts: FromEnv with the fallback switched off

	ownsLocal bool // Shutdown closes local, which FromEnv has made

	era     atomic.Pointer[era]
	primary side
	backup  side

	in       wayIn    // to the primary
	limbos   wire.Set // connections that were never made
	ears     hub
	code     library
	carrying queue[struct{}] // libraries to local

	links     linker
	nodeLinks linker                            // of the clients of a cluster's nodes
	root      atomic.Pointer[redis.ProcessHook] // below the hook, of the first client it was added to
	probing   atomic.Int32
	onConnect settingUp
	unordered atomic.Bool // go-redis builds hooks in an order that is not known
	rootGone  atomic.Bool // the client of root was closed
	carrier   atomic.Pointer[carrier]
	onNodes   atomic.Bool   // AddToCluster: the clients of the nodes carry a hook as well
	cluster   atomic.Bool   // the client is a ClusterClient
	looks     atomic.Uint32 // probes of a cluster
	admitted  atomic.Bool   // the client is of a kind that the hook can serve
	admitting chan struct{} // holds one while the kind of the client is found out
	tripping  chan struct{} // holds one while local is asked before a trip

	sameServer atomic.Bool
	down       atomic.Bool  // Shutdown has been called
	localSeen  atomic.Int64 // when local last answered, ns since 1970
	refusal    atomic.Pointer[seenRefusal]
	denied     atomic.Uint64 // epoch+1 in which a denial was logged
	besides    atomic.Uint64 // the same of a command of a full duplex
	localGone  atomic.Bool   // and that was logged

	journalless atomic.Bool // it was logged that there will be no journal

	trips, returns, refused, withheld, lost atomic.Int64
	switches, probes                        atomic.Int64
	cut                                     atomic.Int64 // subscriptions whose connection to the primary ended
	sampled                                 uint32       // one in so many reads of the primary is a touch of its key; 0 none
	misses                                  atomic.Int64 // reads for which local had nothing
	sessions                                atomic.Int64 // connections of local that a Watch or a Conn holds

	log      queue[Event]
	announce queue[Event]

	signals telemetry

	mu         sync.Mutex // protects all below, and every change of era
	past       []Event    // the last switches
	plan       *health.Plan
	probeTimer *time.Timer
	probeAt    time.Time
	localTimer *time.Timer
	beatTimer  *time.Timer
	changes    *redis.PubSub // of the record
	watching   bool
}

// New returns a hook that falls back to local. It does no I/O, and does not look at the environment:
// see FromEnv. It panics only if local is nil.
//
// local may be a Client, a client of NewFailoverClient, a ClusterClient or a Ring, and answers as that
// kind does: with CROSSSLOT for keys of several slots on a cluster, with a transaction on each shard of a
// Ring. DBSize, ScriptLoad and ScriptExists ask all nodes of a cluster.
//
// If local is one server, a Client or that of NewFailoverClient, all processes that use it share their
// state, and what it acknowledges while it serves goes into a journal there, in database 15, which is
// delivered to the primary at the return: see WithJournal. With a ClusterClient on either side, or a Ring as
// local, failover and return work, but there is no journal: what is written on local stays there, and each
// process decides for itself. The same goes for a journal that is switched off. Status().Journal.Off and
// one log line say so.
//
// New also adds a small hook to local, which watches its connections: of a cluster those of nodes that
// are not in use yet. local may be absent, or over a limit of its own, at that time and at any other;
// while it does not answer, nothing trips and callers get the primary's own errors.
func New(local redis.UniversalClient, opts ...Option) *Hook {
	if v := reflect.ValueOf(local); local == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		panic("fallback.New: local is nil; give it the client of the second Redis")
	}
	h := newHook(newConfig(opts))
	h.local = local
	h.watchConns(local)
	h.share = h.newShare(local)
	if h.share != nil && h.share.hydrator != nil {
		h.sampled = sampleFor(h.cfg.mirror.Hydration)
	}
	h.observe()
	return h
}

func newHook(cfg config) *Hook {
	h := &Hook{cfg: cfg, tripping: make(chan struct{}, 1), admitting: make(chan struct{}, 1), plan: health.NewPlan(cfg.health)}
	h.links.init()
	h.nodeLinks.init()
	h.era.Store(&era{reason: ReasonStart, since: time.Now(), cursors: &cursors{unlimited: true}, ended: make(chan struct{})})
	h.primary.name, h.backup.name = cfg.name, "local"
	h.primary.breaker = breaker.New(cfg.breaker)
	h.backup.breaker = breaker.New(cfg.breaker)
	for _, s := range []*side{&h.primary, &h.backup} {
		s.conns.Silence = cfg.silence
		s.conns.Silent = func(since time.Time) { h.suspect(s, since) }
	}
	h.primary.conns.Refusal = h.sawRefusal
	h.primary.conns.Failed = onStream
	h.primary.conns.Subscriber = func(c *wire.Conn) wire.Subscriber { return h.listen(c, false) }
	h.limbos.Subscriber = func(c *wire.Conn) wire.Subscriber { return h.listen(c, true) }
	h.ears.init(h)
	h.carrying.do = h.carryToLocal
	h.log.do = h.logSwitch
	h.announce.do = h.tell
	return h
}

// DialHook implements redis.Hook.
func (h *Hook) DialHook(next redis.DialHook) redis.DialHook {
	if h.off {
		return nil // which go-redis ignores
	}
	enoughStack()
	var here byte
	in := h.links.begin(uintptr(unsafe.Pointer(&here))) //nolint:gosec // where it lies, no pointer
	return h.dialing(next, in)
}

// ProcessHook implements redis.Hook.
func (h *Hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	if h.off {
		return nil // which go-redis ignores
	}
	var here byte
	in := h.links.process(uintptr(unsafe.Pointer(&here))) //nolint:gosec // where it lies, no pointer
	in.next = next
	if h.root.CompareAndSwap(nil, &next) {
		in.root.Store(true) // nothing but AddHook can come first
		h.carrier.Store(&carrier{in: in, process: next})
		h.watchLocal()
	}
	send := next
	if h.share != nil {
		send = h.mirrored(in, next)
	}
	if in.is(alone) {
		return h.single(in, send)
	}
	return func(ctx context.Context, cmd redis.Cmder) error {
		return h.process(ctx, in, send, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h *Hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	if h.off {
		return nil // which go-redis ignores
	}
	var here byte
	in := h.links.pipeline(uintptr(unsafe.Pointer(&here))) //nolint:gosec // where it lies, no pointer
	if f := h.carrier.Load(); f != nil && f.in == in {
		h.carrier.Store(&carrier{in: in, process: f.process, tx: next}) // the second of two is the transactions'
	}
	send := next
	if h.share != nil {
		send = h.mirroredBatch(in, next)
	}
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return h.processPipeline(ctx, in, send, cmds)
	}
}

// process is the one place where it is decided which server a command goes to first.
func (h *Hook) process(ctx context.Context, in *instance, next redis.ProcessHook, cmd redis.Cmder) error {
	args := cmd.Args()
	class := command.Of(args)
	if in.state.Load() != 0 || class.Any(command.Session|command.Cursor|command.Code) {
		return h.special(ctx, in, next, cmd, class)
	}
	e := h.era.Load()
	if e.serving == Primary && !hidesErrors(cmd) && h.repeatable(class, args, cmd) {
		// What nearly every call is, without a thing to set up for it: ordinary does the same.
		send := next
		if class.Has(command.Read) {
			send = in.next // past the mirror, which would only look at it again
		}
		err := send(ctx, cmd)
		if err == nil || err == redis.Nil { //nolint:errorlint // as go-redis returns it
			h.primary.answered(1)
			if h.sampled != 0 && class.Has(command.Read) && rand.Uint32()%h.sampled == 0 {
				h.touch(in, args)
			}
			return err
		}
		return h.settle(ctx, e, &call{in: in, next: next, cmd: cmd, class: class, kept: class.Has(command.Admin), sent: cmd}, err)
	}
	return h.ordinary(ctx, &call{in: in, next: next, cmd: cmd, class: class, kept: class.Has(command.Admin)})
}

// ordinary takes a command that needs no connection of its own, or has what it needs in its instance's
// seat. One that is kept goes to the primary, whoever serves.
func (h *Hook) ordinary(ctx context.Context, c *call) error {
	e := h.era.Load()
	if e.serving == Local && !c.kept {
		return h.serve(ctx, e, c)
	}
	if c.seat != nil {
		if err := c.seat.dressPrimary(ctx, c.next); err != nil {
			return h.plain(e, err)
		}
	}
	c.sent = c.cmd
	if !h.repeatable(c.class, c.cmd.Args(), c.cmd) {
		c.once = &once{Cmder: c.cmd}
		c.sent = c.once
	}
	if hidesErrors(c.cmd) {
		c.began = time.Now()
	}
	err := c.next(ctx, c.sent)
	if err == redis.Nil || err == nil && !hidesErrors(c.cmd) { //nolint:errorlint // as go-redis returns it
		h.primary.answered(1)
		return err
	}
	return h.settle(ctx, e, c, err)
}

// processPipeline is the same for a pipeline or a transaction.
func (h *Hook) processPipeline(ctx context.Context, in *instance, next redis.ProcessPipelineHook, cmds []redis.Cmder) error {
	b := batch{in: in, next: next, cmds: cmds}
	if in.state.Load() != 0 {
		if err := h.begin(in); err != nil {
			return refuseAll(cmds, err)
		}
		switch {
		case in.is(handshake):
			return h.setUpPipeline(ctx, next, cmds)
		case in.is(seated):
			return h.batchOnSession(ctx, &b)
		}
	}
	if in.whole.Load() && !in.root.Load() && in.session() && b.holdsSession() {
		return h.batchOnSession(ctx, &b)
	}
	return h.ordinaryBatch(ctx, &b)
}

func (h *Hook) ordinaryBatch(ctx context.Context, b *batch) error {
	b.look(h)
	e := h.era.Load()
	if e.serving == Local {
		if b.judge(h); !b.kept {
			return h.serveBatch(ctx, e, b, b.inner())
		}
	}
	part := b.inner()
	if e.term != 0 { // nothing of this is needed before the first switch
		if part = h.dropForeign(e, b, part); len(part) == 0 {
			return firstErr(b.cmds)
		}
		part = b.restore(&h.code, part)
	}
	if b.raw {
		b.began = time.Now()
	}
	err, unwritten := b.send(ctx, part)
	if err == nil && !b.raw {
		h.primary.answered(len(part))
		if e.term == 0 {
			return nil
		}
		e.rememberAll(part)
		return firstErr(b.cmds) // of what was not sent
	}
	return h.settleBatch(ctx, e, b, part, err, unwritten)
}

// repeatable reports whether a command may run twice: as the command table knows it, or the user.
func (h *Hook) repeatable(class command.Class, args []any, cmd redis.Cmder) bool {
	return (command.HarmlessTwice(class, args) || h.cfg.repeatable != nil && h.cfg.repeatable(cmd)) && !cmd.NoRetry()
}

// Shutdown ends the watching and waits, until ctx is done, for the switches that have not been
// announced yet. The server that serves goes on serving; nothing trips or returns any more.
func (h *Hook) Shutdown(ctx context.Context) error {
	again := h.down.Swap(true)
	defer h.signals.stop()
	h.mu.Lock()
	for _, t := range []*time.Timer{h.probeTimer, h.localTimer, h.beatTimer} {
		if t != nil {
			t.Stop()
		}
	}
	h.probeAt = time.Time{}
	changes := h.changes
	h.mu.Unlock()
	if changes != nil && !again {
		_ = changes.Close()
	}
	if s := h.share; s != nil && !again {
		s.endMirror(ctx)
		s.leave(ctx)
		s.close()
	}
	for _, idle := range []<-chan struct{}{h.log.idle(), h.announce.idle(), h.carrying.idle()} {
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("redis fallback: shutdown: %w", ctx.Err())
		}
	}
	if h.ownsLocal && !again {
		return h.local.Close()
	}
	return nil
}
