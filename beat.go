package fallback

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"time"
	"weak"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// beat tells local that this process lives, and takes over what it says.
func (s *share) beat(ctx context.Context) error {
	e := s.h.era.Load()
	self := s.self
	self.Serving = journal.Primary
	if e.serving == Local {
		self.Serving = journal.Local
	}
	if e.rec != nil {
		self.Epoch = e.rec.Epoch
	}
	f, err := s.store.Tick(ctx, &self, s.limits())
	if errors.Is(err, journal.ErrGone) {
		return s.read(ctx)
	}
	if err != nil {
		s.failed(err)
		return err
	}
	s.h.localSeen.Store(time.Now().UnixNano())
	was := s.fleet.Swap(f)
	s.keys.Store(f.NamesOnly)
	s.tellLimits(was, f)
	s.learn(f.Record, nil)
	s.open.Store(true)
	return nil
}

// limits are those of the journal. Where local may evict keys it holds none for sure, and none is delivered
// as it is there.
func (s *share) limits() journal.Limits {
	fit := s.fit.Load()
	return journal.Limits{
		Entries: s.h.cfg.journal.Entries, Bytes: s.h.cfg.journal.Bytes, NoNames: fit != nil && fit.Evicts(), Unknown: fit == nil,
	}
}

// tellLimits tells once that the journal has passed one of its limits.
func (s *share) tellLimits(was, now *journal.Fleet) {
	level, text := slog.LevelWarn, ""
	switch {
	case now.Full && (was == nil || !was.Full):
		level, text = slog.LevelError, "redis fallback: the journal is full; writes are refused until the primary has taken some of it"
	case now.NamesOnly && (was == nil || !was.NamesOnly):
		text = "redis fallback: the journal is past its first limit; of keys that local holds whole it keeps the names alone, " +
			"and scripts of yours and commands that it does not know are refused"
	default:
		return
	}
	s.h.cfg.logger.LogAttrs(context.Background(), level, text,
		slog.Int64("entries", now.Entries), slog.Int64("bytes", now.Bytes), slog.Int64("names", now.Names))
}

// startBeat begins to look at the record again and again, and to listen for its changes.
func (s *share) startBeat() {
	if s.beats.Swap(true) {
		return
	}
	h := s.h
	h.mu.Lock()
	s.scheduleBeatLocked(0) // beside the call that waits
	h.mu.Unlock()
	s.startMirror()
	s.listen()
}

// pace is how long until the next beat.
func (s *share) pace() time.Duration {
	e := s.h.era.Load()
	switch {
	case s.off.Load() != nil:
	case e.closing:
		return journal.ClosingTime
	case e.serving == Local:
		return beatLocal
	}
	if s.h.cfg.localCheck > 0 {
		return min(beatPrimary, s.h.cfg.localCheck)
	}
	return beatPrimary
}

func (s *share) beatSoon() {
	if !s.beats.Load() {
		return
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.scheduleBeatLocked(s.pace())
}

func (s *share) scheduleBeatLocked(wait time.Duration) {
	h := s.h
	if h.down.Load() {
		return
	}
	if h.beatTimer != nil {
		h.beatTimer.Stop()
	}
	w := weak.Make(h)
	h.beatTimer = time.AfterFunc(wait, func() {
		h := w.Value()
		if h == nil || h.down.Load() {
			return
		}
		if h.cluster.Load() {
			return
		}
		s := h.share
		s.round()
		h.mu.Lock()
		s.scheduleBeatLocked(s.pace())
		h.mu.Unlock()
	})
}

// listen hears of changes as they are made. What it misses, the next beat finds.
func (s *share) listen() {
	heard := s.ear.Subscribe(context.Background(), s.store.Channel())
	told := heard.Channel(redis.WithChannelSize(16))
	w := weak.Make(s.h)
	s.h.mu.Lock()
	down := s.h.down.Load()
	s.h.changes = heard
	s.h.mu.Unlock()
	if down {
		_ = heard.Close()
		return
	}
	runtime.AddCleanup(s.h, func(p *redis.PubSub) { go func() { _ = p.Close() }() }, heard)
	go func() {
		for range told {
			h := w.Value()
			if h == nil || h.down.Load() {
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), beatTimeout)
			_ = h.share.beat(ctx)
			cancel()
		}
	}()
}

// pin holds the service on b, for all processes.
func (s *share) pin(b Backend) error {
	want := journal.Primary
	if b == Local {
		want = journal.Local
		s.flush(context.Background())
	}
	err := s.agree(func(rec *journal.Record) (journal.Change, bool) {
		c := s.changeOf(journal.Pins, ReasonPinned, nil)
		if b == Local && rec.Serving == journal.Primary {
			c.What = journal.Trip
		}
		c.Pin = &want
		return c, rec.Pin != want || b == Local && rec.Serving == journal.Primary
	})
	if e := s.h.era.Load(); err == nil && b == Primary && e.serving == Local {
		ctx, cancel := context.WithTimeout(context.Background(), pinTime)
		defer cancel()
		for !s.comeBack(ctx) && ctx.Err() == nil && s.tooLate.Load() {
			// The rest of the journal was not delivered while it was shut: once more.
		}
	}
	return err
}

// pinTime is how long Pin(Primary) waits for the journal to be delivered.
const pinTime = 5 * time.Second

func (s *share) unpin() error {
	none := journal.Serving("")
	return s.agree(func(rec *journal.Record) (journal.Change, bool) {
		c := s.changeOf(journal.Pins, ReasonPinned, nil)
		c.Pin = &none
		return c, rec.Pin != ""
	})
}

// agree makes a change of the record as it is by then, again where another process was quicker.
func (s *share) agree(change func(*journal.Record) (journal.Change, bool)) error {
	ctx, cancel := context.WithTimeout(context.Background(), beatTimeout)
	defer cancel()
	for range 10 {
		if err := s.beat(ctx); err != nil {
			return err
		}
		rec := s.h.era.Load().rec
		c, wanted := change(rec)
		if !wanted {
			return nil
		}
		v, done, err := s.store.Change(ctx, rec, c)
		if err != nil {
			return err
		}
		s.learn(v.Record, nil)
		if done {
			return nil
		}
	}
	return errAgree
}

var errAgree = errors.New("redis fallback: the record on local changes all the time; nothing was changed")
