package journal

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Drain delivers the journal that lies on local to the primary: each entry once, in order. The fields
// are set before it is used and not changed after; its methods may be called at the same time, by any
// number of processes: what keeps them from delivering twice is a comparison with the position on the
// primary.
type Drain struct {
	Store *Store
	// Primary is a client of the primary, whose database is that of the user's client. It must not try
	// again by itself: its MaxRetries is -1.
	Primary *redis.Client
	// ID names this process.
	ID string
	// Address is a hash of the primary's address, as Store.Open was given it.
	Address string
	// Adopt makes the primary that is there the one that the journal is for, whatever the record says.
	Adopt bool
	// Refused reports an error reply of the primary that says that it takes no commands now, for a limit
	// or for who asks, and that therefore nothing has run. LOADING, READONLY, OOM and the like are known.
	Refused func(error) bool
	// Batch bounds one transaction.
	Batch Bounds
}

// Options are for one Deliver or Return. The zero value is a drain without limits.
type Options struct {
	// Budget is how many commands may be sent to the primary; 0 any number. Where the journal costs more,
	// keys that are to expire are given more time on the primary, until a later drain reaches the end:
	// local may prolong them meanwhile.
	Budget int64
	// Reason is written to the record by a Return.
	Reason string
	// Progress is called after each transaction.
	Progress func(Progress)
}

// Progress is what a drain has done.
type Progress struct {
	Entries     int64 // delivered, those that carry writes
	Writes      int64 // commands in these
	Commands    int64 // sent to the primary, for all of it
	Batches     int64 // transactions that ran
	Again       int64 // entries delivered a second time, to a primary that had lost them
	Unconfirmed int64 // entries and letters that were delivered by one that did not see the replies: what failed was found out afterwards
	Dead        int64 // dead letters
	Resent      int64 // letters that were sent again
	Renumbered  int64 // entries of streams that were given another id, for the primary's was ahead
	Floor       ID    // up to here the primary has everything
}

func (d *Drain) home() string { return strconv.Itoa(d.Primary.Options().DB) }

// Deliver delivers until nothing is left. Whatever its error, what the Progress counts has been
// delivered. The error is ErrRefused, ErrOtherPrimary or ErrBudget, or that of one of the servers.
func (d *Drain) Deliver(ctx context.Context, o Options) (Progress, error) {
	w := d.begin(o)
	defer w.end()
	if err := w.plan(ctx); err != nil {
		return w.progress, err
	}
	for {
		more, err := w.step(ctx)
		if err != nil || !more {
			return w.progress, err
		}
	}
}

// plan looks whether the budget will be enough.
func (w *work) plan(ctx context.Context) error {
	if w.options.Budget <= 0 {
		return nil
	}
	e, err := w.drain.Estimate(ctx)
	w.part = err == nil && e.Commands > w.options.Budget
	return err
}

func (d *Drain) begin(o Options) *work {
	return &work{drain: d, options: o, read: reader{store: d.Store}, full: true, bad: make(map[badKey]error)}
}
