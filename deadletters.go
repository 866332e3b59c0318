package fallback

import (
	"context"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// DeadLetter is a write of the journal that the primary has not taken, or of which nobody can know
// whether it has. It stays on local until RetryDeadLetter or DropDeadLetter takes it away.
type DeadLetter struct {
	ID string
	// Args are the command's name and its arguments, keys and values among them: nothing for a log. A
	// name of "!deadline" stands for the expiry of the key behind it.
	Args []string
	// DB is the database that the program had selected, "" for that of its client.
	DB string
	// Error is what the primary said, or why it is in doubt. A server's text may name a key.
	Error string
	// Written is when local acknowledged the write, At when it became a dead letter; both by local's
	// clock.
	Written, At time.Time
	// Doubt is set where the write may have run.
	Doubt bool
	// Waiting is set where the next delivery sends it again by itself.
	Waiting bool
	// Writes is how many writes it stands for, where several of one key were delivered as one.
	Writes int
	// Tries is how often it was sent again.
	Tries int
}

// DeadLetters returns the dead letters of all processes that share local, in the order in which they were
// written. It returns ErrNoJournal where there is no journal; else the error is local's.
func (h *Hook) DeadLetters(ctx context.Context) ([]DeadLetter, error) {
	s, err := h.openJournal()
	if err != nil {
		return nil, err
	}
	all, err := s.store.Letters(ctx, 0)
	if err != nil {
		return nil, err
	}
	letters := make([]DeadLetter, len(all))
	for i, l := range all {
		letters[i] = DeadLetter{
			ID: l.ID, Args: l.Args, DB: l.DB, Error: l.Error, Written: time.UnixMilli(int64(l.Entry.Ms)), //nolint:gosec // a time of these centuries
			At: l.At, Doubt: l.Doubt, Waiting: l.Kind == journal.LetterRefused, Writes: max(l.Folded, 1), Tries: l.Tries,
		}
	}
	return letters, nil
}

// RetryDeadLetter sends one to the primary once more, now, whatever has been written to its keys since. If
// the primary takes it, it is gone; else the error is the primary's, and the letter has it. One in doubt
// may run a second time by that. ErrNoDeadLetter says that there is none of that id, which is also what a
// second call finds after one whose reply was lost.
func (h *Hook) RetryDeadLetter(ctx context.Context, id string) error {
	s, err := h.openJournal()
	if err != nil {
		return err
	}
	d, done, err := s.drainer(ctx)
	if err != nil {
		return err
	}
	defer done()
	return d.Retry(ctx, id)
}

// DropDeadLetter takes one away for good: the primary will not get that write. ErrNoDeadLetter says that
// there is none of that id.
func (h *Hook) DropDeadLetter(ctx context.Context, id string) error {
	s, err := h.openJournal()
	if err != nil {
		return err
	}
	return s.store.Drop(ctx, id)
}

// DrainEstimate is what a delivery of the journal will cost.
type DrainEstimate struct {
	Entries  int64 // of the journal
	Writes   int64 // commands in these; several of one key may be delivered as one
	Commands int64 // for the primary, all in all, as a hosted Redis bills them
	Bytes    int64
}

// Estimate says what Drain or a return will cost, without a command to the primary. What is written
// meanwhile makes it wrong, and a budget that is no more than it: where there is little left to spend,
// less is delivered as one.
func (h *Hook) Estimate(ctx context.Context) (DrainEstimate, error) {
	s, err := h.openJournal()
	if err != nil {
		return DrainEstimate{}, err
	}
	h.in.mu.Lock()
	nobody := redis.NewClient(&redis.Options{DB: h.in.db}) // which is asked for its database alone
	h.in.mu.Unlock()
	defer nobody.Close()
	d := journal.Drain{Store: s.store, Primary: nobody, ID: s.self.ID}
	e, err := d.Estimate(ctx)
	return DrainEstimate{Entries: e.Entries, Writes: e.Writes, Commands: e.Commands, Bytes: e.Bytes}, err
}

// openJournal returns the share for an operator, or why there is none.
func (h *Hook) openJournal() (*share, error) {
	s := h.journal()
	switch {
	case h.down.Load() || h.off:
		return nil, ErrClosed
	case s == nil:
		return nil, ErrNoJournal
	}
	return s, nil
}
