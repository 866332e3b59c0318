package fallback

import (
	"context"
	"errors"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/mirror"
)

// Errors of Sync and Verify that errors.Is finds, beside ErrBudget, ErrOtherPrimary and ErrNoJournal.
var (
	// ErrLocalServes is about a copy from a primary that does not serve: what it holds is old.
	ErrLocalServes = mirror.ErrFenced
	// ErrLocalMemory is about a local that has used 70 % of its maxmemory: the rest is the journal's.
	ErrLocalMemory = mirror.ErrMemory
	// ErrLocalRefuses is about a local that takes none of the keys that it is given.
	ErrLocalRefuses = mirror.ErrLocalRefuses
	// ErrNoMirror is about a local that must not be mirrored to: its database is another service's, say.
	ErrNoMirror = mirror.ErrOff
)

// SyncOptions are for one Sync. The zero value copies every key, as fast as it goes.
type SyncOptions struct {
	// Budget is how many commands the primary may be sent. Default no bound.
	Budget int64
	// Rate is how many keys are copied in a second. Default no bound.
	Rate int
	// Match, as in SCAN, chooses the keys. Default all of them; with it local never becomes complete.
	Match string
	// MaxBytes leaves out larger keys, by the size of their DUMP. Default 1 MiB, -1 no bound.
	MaxBytes int64
	// Restart begins anew where an earlier one was interrupted.
	Restart bool
	// Progress is called before the first key, with the cost, and then after each batch.
	Progress func(SyncProgress)
}

// SyncProgress is how far a Sync is. The counts include what earlier runs of it did, if it goes on with one.
type SyncProgress struct {
	Keys     int64         // of the primary at the beginning
	Held     int64         // of local, which no mirror put there: they are deleted first
	Cost     int64         // commands that the primary is still to be sent, about
	Read     int64         // keys
	Copied   int64         // keys
	Gone     int64         // deleted or expired while the keys were listed
	Newer    int64         // written while they were read, and read again at the end
	Large    int64         // left out
	Unknown  int64         // left out: of a type that cannot be copied
	Refused  int64         // left out: local refuses them
	Extra    int64         // deleted on local, because the primary does not have them
	Commands int64         // sent to the primary
	Resumed  bool          // it goes on with an earlier one
	Elapsed  time.Duration // since it began or went on
	Left     time.Duration // about; 0 not known
}

// SyncReport is what a Sync came to.
type SyncReport struct {
	SyncProgress
	// Complete is set once what local does not have is not on the primary either, but for so many keys
	// that it is known not to have.
	Complete bool
	Unsure   int64
}

// Sync copies what the primary holds to local, so that a switch finds it there: about two commands a key.
// A key that was written meanwhile is left as the mirror has it, and what only local holds is deleted
// there. Where local holds keys that no mirror put there, and the mirror is off for that, they are deleted
// first, and the mirror is on from then on in all processes. It may be interrupted; the next one with the same options goes on where it was. What it reports
// was done, whatever the error: a *LimitError where the primary's limit was met, ErrBudget, ErrLocalServes,
// ErrLocalMemory, ErrLocalRefuses, ErrNoMirror, ErrOtherPrimary, ErrNoJournal, that of ctx, or of one of the servers.
// One should run at a time.
func (h *Hook) Sync(ctx context.Context, o SyncOptions) (SyncReport, error) {
	c, done, err := h.copier(ctx, true)
	if err != nil {
		return SyncReport{}, err
	}
	defer done()
	options := mirror.SyncOptions{Budget: o.Budget, Rate: o.Rate, Match: o.Match, MaxBytes: o.MaxBytes, Restart: o.Restart}
	if o.Progress != nil {
		options.Progress = func(p mirror.SyncProgress) { o.Progress(SyncProgress(p)) }
	}
	r, err := c.Sync(ctx, options)
	return SyncReport{SyncProgress(r.SyncProgress), r.Complete, r.Unsure}, h.copyError(err)
}

// VerifyOptions are for one Verify. The zero value compares every key and changes nothing.
type VerifyOptions struct {
	// Sample is how many keys are compared, taken at random. Default all.
	Sample int
	// Repair copies keys that differ, and deletes those that only local has.
	Repair bool
	// Budget is how many commands the primary may be sent. Default no bound.
	Budget int64
	// Rate is how many keys are compared in a second. Default no bound.
	Rate int
	// Each is called with each difference, after its repair.
	Each func(Difference)
}

// Difference is a key that local does not hold as the primary does. Key is a key of the program's:
// nothing for a log.
type Difference struct {
	DB       string // as it was SELECTed; "" that of the client
	Key      string
	Kind     string // "missing" or "extra" on local, or other in "type", "value" or "expiry"
	Repaired bool
}

// VerifyReport is what a Verify came to.
type VerifyReport struct {
	Keys      int64 // of the primary at the beginning
	Compared  int64
	Same      int64
	Missing   int64 // on local
	Extra     int64 // on local
	Different int64 // in type, value, or by more than a second in expiry
	Repaired  int64 // of these three
	Busy      int64 // written whenever they were looked at, so that nothing can be said of them
	Commands  int64 // sent to the primary
}

// Verify compares local with the primary, key by key: about two commands for each. What it reports was
// compared, whatever the error; they are those of Sync.
func (h *Hook) Verify(ctx context.Context, o VerifyOptions) (VerifyReport, error) {
	c, done, err := h.copier(ctx, o.Repair)
	if err != nil {
		return VerifyReport{}, err
	}
	defer done()
	options := mirror.VerifyOptions{Sample: o.Sample, Repair: o.Repair, Budget: o.Budget, Rate: o.Rate}
	if o.Each != nil {
		options.Each = func(d mirror.Difference) { o.Each(Difference{d.DB, d.Key, string(d.Kind), d.Repaired}) }
	}
	r, err := c.Verify(ctx, options)
	return VerifyReport(r), h.copyError(err)
}

// copier returns what copies from the primary to local, over connections of its own that done closes.
func (h *Hook) copier(ctx context.Context, writes bool) (c *mirror.Copier, done func(), err error) {
	s, err := h.openJournal()
	if err != nil {
		return nil, nil, err
	}
	d, closed, err := s.drainer(ctx)
	if err != nil {
		return nil, nil, err
	}
	rec, err := d.Same(ctx)
	if err == nil && rec.Serving != journal.Primary {
		err = ErrLocalServes
	}
	if err != nil {
		closed()
		return nil, nil, h.copyError(err)
	}
	s.learn(rec, nil)
	c = s.copier(d.Primary)
	if s.mirror != nil {
		s.startMirror()
		return c, closed, nil
	}
	m := mirror.New(mirror.Config{
		RDB: s.store.Client(), Name: h.cfg.name, Database: s.store.Database(), Home: s.home, Process: s.self.ID,
		Fence: func() string { return h.era.Load().fence },
	})
	c.Mirror = m
	if !writes {
		return c, closed, nil
	}
	m.Start()
	return c, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = m.Close(ctx) // if it fails, others find out that it is gone
		closed()
	}, nil
}

// copyError is an error of a copy as the caller finds it.
func (h *Hook) copyError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mirror.ErrBudget):
		return copyError{err, ErrBudget}
	case errors.Is(err, mirror.ErrRefused), errors.Is(err, ErrRefused):
		if h.verdict(nil, err) == Limit {
			return copyError{err, newLimitError(err)}
		}
		return copyError{err, ErrRefused}
	}
	return err
}

// copyError reads as an error of a copy, and is found as one that callers know.
type copyError struct {
	error
	as error
}

func (e copyError) Unwrap() []error { return []error{e.as, e.error} }
