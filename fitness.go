package fallback

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"github.com/redis-fallback/fallback/internal/journal"
)

// fitness is what local said of itself.
type fitness struct {
	journal.Fitness
	told map[string]string // the warnings that were logged: their texts by their codes
}

// unfit are the warnings with which there can be no journal. With the others there is one, which may be
// lost.
var unfit = map[string]bool{journal.WarnVersion: true, journal.WarnDatabase: true, journal.WarnRole: true}

// examine asks local whether it does, and tells each new warning. It returns why there can be no journal,
// "" where there can.
func (s *share) examine(ctx context.Context) (why string, err error) {
	if why := s.shared(); why != "" {
		return why, nil
	}
	f, err := journal.Examine(ctx, s.store.Client(), s.store.Database())
	if err != nil {
		return "", err
	}
	next := &fitness{f, map[string]string{}}
	old := s.fit.Swap(next)
	for _, w := range f.Warnings {
		if unfit[w.Code] && why == "" {
			why = w.Text + "; " + w.Do
		}
		// Numbers in it change all the time.
		text := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, w.Text)
		next.told[w.Code] = text
		if old != nil && old.told[w.Code] == text || unfit[w.Code] {
			continue // turnOff tells it
		}
		s.h.cfg.logger.LogAttrs(ctx, slog.LevelWarn, "redis fallback: local may lose what it acknowledges, or stand in the way: "+w.Text,
			slog.String("code", w.Code), slog.String("do", w.Do))
	}
	return why, nil
}

// unfitFor says what local lacks, of an error that says that it lacks something.
func (s *share) unfitFor(err error) string {
	text, db := err.Error(), strconv.Itoa(s.store.Database())
	for _, c := range [...]struct{ sign, why string }{
		{"NOPERM", "local's user may not do what the journal does (NOPERM): allow it +@scripting, +@read, +@write, +@connection and the keys fallback:*"},
		{"DB index", "local has no database " + db + ", which the journal is to be in; set databases to more in its configuration, or choose another (JournalConfig.Database)"},
		{"SELECT is not allowed", "local is in cluster mode, and has database 0 alone; use a server that is not"},
		{"nknown", "local does not know a command that the journal needs; use Redis 7.0 or later, or Valkey"},
		{"WRONGTYPE", "something else has written to the journal's keys in database " + db + " of local; keep the application off it"},
	} {
		if strings.Contains(text, c.sign) {
			return c.why
		}
	}
	return plainText(err)
}

// shared says that the journal would lie among the user's keys.
func (s *share) shared() string {
	if s.home != s.store.Database() {
		return ""
	}
	return "local's own database is number " + strconv.Itoa(s.home) +
		" as well: the journal must have one for itself (JournalConfig.Database)"
}

// check examines local while the primary serves: what can still be mended then must not wait until it is
// needed. A process that begins while local serves looks once, for whether keys may be evicted there.
func (s *share) check(ctx context.Context) {
	serves := s.h.era.Load().serving == Primary
	if !serves && s.fit.Load() != nil {
		return
	}
	if why, err := s.examine(ctx); serves && err == nil && why != "" {
		s.turnOff(why)
	}
}

// turnOn looks whether local can hold a journal by now, where it could not before. It reports whether it
// can.
func (s *share) turnOn(ctx context.Context) bool {
	h := s.h
	e := h.era.Load()
	if e.pinned && e.serving == Local { // by this process alone
		return false
	}
	if why, err := s.examine(ctx); err != nil || why != "" {
		return false
	}
	v, err := s.store.Open(ctx, s.address())
	if err == nil {
		err = s.store.Load(ctx)
	}
	if err == nil && e.serving == Local && v.Record.Serving == journal.Primary {
		// From here on what local acknowledges is written down. What it has acknowledged without stays there.
		v, _, err = s.store.Change(ctx, v.Record, s.changeOf(journal.Trip, e.reason, e.cause))
	}
	if err != nil {
		return false
	}
	s.learn(v.Record, nil)
	s.open.Store(true)
	if s.off.Swap(nil) != nil {
		h.cfg.logger.LogAttrs(ctx, slog.LevelInfo, "redis fallback: local can hold the journal again", slog.String("primary", h.cfg.name))
	}
	return true
}

// lookAgain is turnOn before a trip, which would be one without a journal.
func (s *share) lookAgain() bool {
	ctx, cancel := context.WithTimeout(context.Background(), localAsk)
	defer cancel()
	on := false
	_ = within(ctx, func() error { on = s.turnOn(ctx); return nil })
	return on && ctx.Err() == nil
}

// round is what is done at each beat.
func (s *share) round() {
	ctx, cancel := context.WithTimeout(context.Background(), beatTimeout)
	defer cancel()
	if s.off.Load() != nil {
		s.turnOn(ctx)
		return
	}
	// A replica answers, and refuses.
	if err := s.beat(ctx); err == nil || isReply(err) {
		s.check(ctx)
	}
}

// noJournal says why there is none; "" where there is one.
func (h *Hook) noJournal() string {
	switch {
	case h.off:
		return "the fallback is switched off"
	case h.cfg.journal.Database < 0:
		return "switched off (JournalConfig.Database)"
	case h.share == nil:
		return "local is a ClusterClient or a Ring: a journal is one order, on one server"
	case h.cluster.Load():
		return "the primary is a ClusterClient: a journal is delivered to one server"
	}
	if why := h.share.off.Load(); why != nil {
		return *why
	}
	return ""
}

// sayNoJournal writes the one line of a hook that will never have a journal.
func (h *Hook) sayNoJournal() {
	if h.share != nil && h.share.off.Load() != nil || h.journalless.Load() {
		return
	}
	if why := h.noJournal(); why != "" && !h.journalless.Swap(true) {
		h.cfg.logger.LogAttrs(context.Background(), slog.LevelInfo,
			"redis fallback: no journal; what is written while local serves stays there, and each process decides for itself which server serves",
			slog.String("primary", h.cfg.name), slog.String("why", why))
	}
}
