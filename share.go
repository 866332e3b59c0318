package fallback

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis-fallback/fallback/internal/reread"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// share is a hook's part in what all processes that have one local agree on: the record of who serves,
// and the journal of what local acknowledged meanwhile. Without one, or with one that is off, the hook
// decides for its process alone, and what is written on local stays there.
type share struct {
	h     *Hook
	store *journal.Store
	ear   *redis.Client // hears of changes
	plain *redis.Client // the mirror's, whose goroutines must not hold the hook
	self  journal.Process
	home  int  // local's own database
	resp3 bool // what local's connections speak

	off     atomic.Pointer[string] // why there is no journal; nil: there is one
	looked  atomic.Bool            // the first look is over, whatever it brought
	looking chan struct{}          // holds one while somebody looks
	open    atomic.Bool            // the record has been read
	fleet   atomic.Pointer[journal.Fleet]
	met     atomic.Pointer[meeting] // what the last trip of this process was for
	heading atomic.Pointer[origin]  // of the return that is under way in this process
	tooLate atomic.Bool             // the last return could not be ended in time
	coming  chan struct{}           // holds one while a return is under way
	beats   atomic.Bool             // the beat goes on
	keys    atomic.Bool             // the journal keeps names: its calls say which keys they have
	fit     atomic.Pointer[fitness]
	replies reread.Reader

	mirror   *mirror.Mirror   // nil: off
	hydrator *mirror.Hydrator // nil: off
	peeking  atomic.Bool      // lookSoon is at it

	fenced, noted, turnedAway, returnsFailed atomic.Int64
	delivered, deliveryCost                  atomic.Int64                // entries, and commands of the primary
	lastFault                                atomic.Pointer[lastFailure] // of a return or a drain
	delivering                               atomic.Bool
	landing                                  atomic.Bool // local is back, and its journal on its way
}

// How often a process looks at the record: while the primary serves as often as at local, else often
// enough that nobody waits for a change that it was not told of.
const (
	beatLocal   = time.Second
	beatPrimary = 30 * time.Second
	beatTimeout = 2 * time.Second
	firstLook   = 250 * time.Millisecond
)

// newShare makes the part of a hook whose local is one server. There is none for a cluster or a Ring:
// a journal is one order, on one server.
func (h *Hook) newShare(local redis.UniversalClient) *share {
	client, ok := local.(*redis.Client)
	if !ok || h.cfg.journal.Database < 0 {
		return nil
	}
	theirs := client.Options()
	opts := *theirs
	opts.DB = h.cfg.journal.Database
	opts.MaxRetries = -1 // a script that may have run is asked about, not run again
	opts.MinIdleConns, opts.MaxIdleConns = 0, 0
	opts.PoolSize = max(opts.PoolSize, 4)
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	rdb := redis.NewClient(&opts)
	h.watchConns(rdb)
	ear, plain := opts, opts // their goroutines last as long as they do, and must not hold the hook
	host, _ := os.Hostname()
	s := &share{
		h: h, ear: redis.NewClient(&ear), plain: redis.NewClient(&plain), store: journal.New(rdb, h.cfg.name, opts.DB), home: theirs.DB, resp3: theirs.Protocol != 2,
		self:    journal.Process{ID: rand.Text()[:12], Host: host, PID: os.Getpid(), Started: time.Now().UnixMilli()},
		looking: make(chan struct{}, 1), coming: make(chan struct{}, 1),
	}
	s.mirror = h.newMirror(s)
	s.hydrator = h.newHydrator(s)
	if s.mirror != nil {
		s.store.Mirrored(s.home)
	}
	return s
}

// journal returns the share, if there is a journal.
func (h *Hook) journal() *share {
	if s := h.share; s != nil && s.off.Load() == nil && !h.cluster.Load() {
		return s
	}
	return nil
}

// turnOff goes on without a journal, and says why.
func (s *share) turnOff(why string) {
	if !s.off.CompareAndSwap(nil, &why) {
		return
	}
	s.h.cfg.logger.LogAttrs(context.Background(), slog.LevelWarn,
		"redis fallback: no journal; what local acknowledges while it serves will not reach the primary",
		slog.String("primary", s.h.cfg.name), slog.String("why", why))
}

// address is a hash of where the primary is, which says nothing of it but whether it is the same.
func (s *share) address() string {
	t := s.h.primary.dialed.Load()
	if t == nil {
		return ""
	}
	return journal.Address(t.network, t.addr)
}

// first reads the record before anything is sent, or a process that starts while local serves would
// read what is old and write what is fenced elsewhere, and makes the mirror ready. It waits for local no
// longer than firstLook.
func (s *share) first() {
	select {
	case s.looking <- struct{}{}:
		defer func() { <-s.looking }()
	case <-time.After(firstLook):
		return
	}
	if s.looked.Load() {
		return
	}
	if why := s.shared(); why != "" {
		s.turnOff(why)
		s.looked.Store(true)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), firstLook)
	defer cancel()
	err := within(ctx, func() error { return s.read(ctx) })
	s.startBeat()
	if err == nil && s.mirror != nil {
		// What is written before local knows this process is not sure there.
		_ = s.mirror.Ready(ctx)
	}
	s.looked.Store(true)
}

// read reads the record, makes it where there is none, and takes it over.
func (s *share) read(ctx context.Context) error {
	v, err := s.store.Open(ctx, s.address())
	if err != nil {
		s.failed(err)
		return err
	}
	if err := s.store.Load(ctx); err != nil {
		s.failed(err)
		return err
	}
	s.learn(v.Record, nil)
	s.open.Store(true)
	return nil
}

// failed hears of an error of local's.
func (s *share) failed(err error) {
	if errors.Is(err, journal.ErrUnfit) {
		s.turnOff(s.unfitFor(err))
	}
}

// learn takes a record over, if it is newer than the one that is known, and returns the era that holds
// then. met is what led to it, where this process has met it; nil elsewhere.
func (s *share) learn(rec *journal.Record, met *meeting) *era {
	h := s.h
	h.mu.Lock()
	e := h.era.Load()
	if !rec.Newer(e.rec) {
		h.mu.Unlock()
		if e.adrift && rec.Serving != journal.Primary {
			go s.ashore()
		}
		return e
	}
	t := turn{to: Local, reason: Reason(rec.Reason), rec: rec}
	if rec.Serving == journal.Primary {
		t.to = Primary
	}
	t.pinned = rec.Pin != "" && (rec.Pin == journal.Primary) == (t.to == Primary)
	if t.to == Local {
		if met == nil && e.serving == Primary && rec.By == s.self.ID && t.reason != ReasonPinned {
			met = s.met.Load() // the news of this process' own trip came before the answer
		}
		if met != nil {
			t.cause, t.from = met.cause, met.from
		}
		if t.cause == nil {
			t.cause = e.cause
		}
		if t.cause == nil {
			t.cause = causeOf(rec)
		}
	}
	if from := s.heading.Load(); from != nil && t.to == Primary {
		t.from = *from
	}
	if e.serving == Local && t.to == Primary {
		s.met.Store(nil) // before the next trip, which may begin as soon as the primary serves
	}
	next, _ := h.changeLocked(e, t)
	pins := t.reason == ReasonPinned
	left, back := e.serving == Primary && t.to == Local, e.serving == Local && t.to == Primary
	switch {
	case t.to == Local && !t.pinned && (left || e.pinned):
		wait := h.plan.Leave(next.since, leftFor(t.reason))
		if pins {
			wait = 0
		}
		h.scheduleProbeLocked(wait)
	case t.to == Local && !t.pinned && h.probeAt.IsZero():
		h.scheduleProbeLocked(h.cfg.health.Every)
	}
	h.mu.Unlock()
	switch {
	case left && !pins:
		h.trips.Add(1)
		if t.reason == ReasonOutage {
			h.leftBehind()
		}
	case back:
		h.primary.breaker.Reset()
		if !pins {
			h.returns.Add(1)
		}
	}
	if e.rec != nil && e.rec.ID != rec.ID {
		h.cfg.logger.LogAttrs(context.Background(), slog.LevelError,
			"redis fallback: local has lost its journal, or is another server: what the primary did not have yet is lost",
			slog.String("primary", h.cfg.name), slog.String("served", e.serving.String()))
	}
	if left || back || e.closing != next.closing {
		s.beatSoon()
	}
	return next
}

// causeOf makes the error again that another process has met.
func causeOf(rec *journal.Record) error {
	switch {
	case rec.Cause == "":
		return nil
	case Reason(rec.Reason) == ReasonQuota, Reason(rec.Reason) == ReasonStorage:
		limit := newLimitError(replyError(rec.Cause))
		if rec.Kind != "" {
			limit.Kind, limit.Limit, limit.Usage = LimitKind(rec.Kind), rec.Limit, rec.Usage
		}
		return limit
	}
	return errors.New(rec.Cause)
}

// changeOf is a change with the error that leads to it.
func (s *share) changeOf(what journal.What, reason Reason, cause error) journal.Change {
	c := journal.Change{What: what, Reason: string(reason), Cause: plainText(cause), By: s.self.ID, Address: s.address()}
	if limit, ok := errors.AsType[*LimitError](cause); ok {
		c.Kind, c.Limit, c.Usage = string(limit.Kind), limit.Limit, limit.Usage
	}
	return c
}

// trip switches all processes to local, by comparison with the epoch under which the command that
// failed was sent. It reports false where there is no journal after all.
func (s *share) trip(ctx context.Context, e *era, reason Reason, met meeting) (*era, bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), localAsk)
	defer cancel()
	if e.rec == nil {
		if err := s.read(ctx); err != nil {
			return s.noTrip(err)
		}
		if e = s.h.era.Load(); e.serving == Local || e.pinned {
			return e, true
		}
	}
	s.met.Store(&met)
	s.flush(ctx)
	v, done, err := s.store.Change(ctx, e.rec, s.changeOf(journal.Trip, reason, met.cause))
	switch {
	case errors.Is(err, journal.ErrGone):
		if err = s.read(ctx); err != nil {
			return s.noTrip(err)
		}
		return s.h.era.Load(), true
	case err != nil:
		return s.noTrip(err)
	case !done: // another process was quicker
		return s.learn(v.Record, nil), true
	}
	return s.learn(v.Record, &met), true
}

// noTrip is what becomes of a trip that local did not answer to: nothing, unless local cannot hold a
// journal at all.
func (s *share) noTrip(err error) (*era, bool) {
	s.failed(err)
	if s.off.Load() != nil {
		return nil, false
	}
	s.h.backup.failure(err)
	if !isReply(err) {
		s.h.logLocal(err)
		s.h.backup.breaker.Trip()
		s.h.recheckLocal()
	}
	return s.h.era.Load(), true
}

// look reads the record now, because local said that another one holds.
func (s *share) look(ctx context.Context) (*era, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTimeout)
	defer cancel()
	if err := s.beat(ctx); err != nil {
		return s.h.era.Load(), err
	}
	return s.h.era.Load(), nil
}

// elsewhere finds out who serves after a call was fenced for the given time in a row.
func (s *share) elsewhere(ctx context.Context, fenced int) (*era, error) {
	s.fenced.Add(1)
	e, err := s.look(ctx)
	switch {
	case err != nil:
	case ctx.Err() != nil:
		err = ctx.Err()
	case fenced >= mostFenced:
		err = errNotAgreed
	}
	return e, err
}

// mostFenced bounds how often a call is sent again. The record changes each time, unless local has gone back
// to an older one: that of a replica which had not heard of the last switch.
const mostFenced = 20

var errNotAgreed = errors.New("redis fallback: local refuses the record that it gave; nothing was done")

// await waits while the journal is shut. Who has waited too long opens it again.
func (s *share) await(ctx context.Context, e *era) (*era, error) {
	t := time.NewTimer(journal.ClosingTime)
	defer t.Stop()
	for e.closing {
		select {
		case <-e.ended:
		case <-t.C:
			t.Reset(journal.ClosingTime / 10)
			if _, err := s.look(ctx); err != nil {
				return e, err
			}
		case <-ctx.Done():
			return e, ctx.Err()
		}
		e = s.h.era.Load()
	}
	return e, nil
}
