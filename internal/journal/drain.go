package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

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
	Unconfirmed int64 // entries and letters that were delivered by one that died before it saw the replies
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

// lostRetries is how often in a row a drain begins again after a connection broke. The position tells
// what was done.
const lostRetries = 2

// work is one drain under way. It is used by one goroutine.
type work struct {
	drain     *Drain
	options   Options
	link      *link
	read      reader
	record    *Record // as it was at now
	now       int64   // local's clock, ms
	fresh     bool    // the record has been looked at
	full      bool    // the last batch ended before the journal did, or there was none yet
	redo      int64   // letters to be sent again
	apart     bool    // commands of different keys are not merged: the primary has not taken such a one
	part      bool    // it is not expected to reach the end
	crowded   bool    // deadlines are to be made good yet
	bad       map[badKey]error
	before    deadlines
	chains    chains
	delivered ID     // what the last batch set the position to
	found     string // a letter that was found to have been sent
	lost      int    // connections that broke, in a row
	spent     int64  // commands of links that were closed
	told      int64  // commands that the record knows of
	progress  Progress
}

// badKey is a command that the primary does not queue.
type badKey struct {
	source
	name, key string
}

func badOf(c *command) badKey {
	k := badKey{source: c.from, name: c.args[0]}
	if len(c.args) > 1 {
		k.key = c.args[1]
	}
	return k
}

func (w *work) end() {
	if w.link != nil {
		w.spent += w.link.spent
		w.link.close()
		w.link = nil
	}
	w.progress.Commands = w.spent
}

func (w *work) commands() int64 {
	if w.link != nil {
		return w.spent + w.link.spent
	}
	return w.spent
}

// step makes one step ahead: mostly it delivers a batch. It reports false once nothing is left.
func (w *work) step(ctx context.Context) (more bool, err error) {
	before := w.progress.Batches
	more, err = w.careful(ctx, func() (bool, error) { return w.advance(ctx) })
	if w.options.Progress != nil && w.progress.Batches != before {
		w.options.Progress(w.progress)
	}
	return more, err
}

// careful does something with the link, and reports true if it did or if it has to be done again: the
// position has changed, or the connection broke, and the position tells what was done.
func (w *work) careful(ctx context.Context, do func() (bool, error)) (more bool, err error) {
	defer func() { w.progress.Commands = w.commands() }()
	more, err = do()
	var queue *queueError
	var reply redis.Error
	switch {
	case err == nil:
		w.lost = 0
		return more, nil
	case errors.Is(err, errChanged), errors.Is(err, errArmed), errors.As(err, &queue):
		w.end() // its transaction is spoilt, and the next one may have begun
	case errors.As(err, &reply), errors.Is(err, errStop), errors.Is(err, ErrBudget), ctx.Err() != nil, w.lost == lostRetries:
		w.end()
		return false, err
	default:
		w.end()
		w.lost++
	}
	w.read = reader{store: w.drain.Store, count: w.read.count}
	return true, nil
}

// errStop is in errors that trying again does not mend.
var errStop = errors.New("redis fallback: the drain cannot go on")

// advance is a step without its care for errors.
func (w *work) advance(ctx context.Context) (bool, error) {
	if !w.fresh {
		// Without a look at local first a drain of nothing would cost commands.
		if err := w.look(ctx); err != nil {
			return false, err
		}
		w.fresh = true
		if idle, err := w.idle(ctx); idle || err != nil {
			return false, err
		}
	}
	if err := w.afford(6); err != nil {
		return false, err
	}
	pos, finger, err := w.approach(ctx)
	if err != nil || w.record.Serving == Primary {
		return false, err
	}
	if done, err := w.mend(ctx, pos, finger); done || err != nil {
		return true, err
	}
	if w.redo > 0 {
		return true, w.resend(ctx, pos, finger)
	}
	return w.batch(ctx, pos, finger)
}

// approach reads the position on the primary, and then the record. finger is the fingerprint that has to
// be written, "" if none.
func (w *work) approach(ctx context.Context) (pos position, finger string, err error) {
	if w.record == nil {
		if err := w.look(ctx); err != nil {
			return pos, "", err
		}
	}
	if w.link != nil && w.link.broken {
		w.end()
	}
	if w.link == nil {
		w.link = newLink(w.drain, w.record.ID)
	}
	pos, finger, fresh, err := w.link.watch(ctx)
	if err != nil {
		return pos, "", err
	}
	// Only what local says after the position was read may be judged by it. Where it was read with the
	// last EXEC, the settling came after that.
	if fresh {
		if err = w.look(ctx); err != nil {
			return pos, "", err
		}
	}
	finger, err = w.recognise(ctx, finger)
	return pos, finger, err
}

// afford ends the drain if it may not send n commands more.
func (w *work) afford(n int64) error {
	if w.options.Budget > 0 && w.commands()+n > w.options.Budget {
		return fmt.Errorf("%w: %d of %d, and the next ones cost %d", ErrBudget, w.commands(), w.options.Budget, n)
	}
	return nil
}

// idle reports that there is nothing to deliver, without asking the primary. Markers that stand before
// everything else are settled.
func (w *work) idle(ctx context.Context) (bool, error) {
	if w.record.Serving == Primary {
		return true, nil
	}
	if w.redo > 0 || w.record.Doubt.After(w.record.Floor) {
		return false, nil
	}
	if err := w.read.start(ctx, w.record, w.record.Floor); err != nil {
		return false, err
	}
	last := w.record.Floor
	for n := 0; ; n++ {
		e, err := w.read.next(ctx, n)
		if err != nil {
			return false, err
		}
		if e != nil && len(e.Commands) == 0 {
			last = e.ID
			continue
		}
		if last.After(w.record.Floor) {
			if err := w.settle(ctx, last, "", nil); err != nil {
				return false, err
			}
		}
		if e != nil {
			return false, nil
		}
		loose, err := w.loose(ctx)
		return !loose, err
	}
}

// loose reports whether there are deadlines to be made good, now that the journal is at its end.
func (w *work) loose(ctx context.Context) (bool, error) {
	if w.part || w.record.Serving == Closing {
		return false, nil
	}
	if err := w.before.load(ctx, w.drain.Store); err != nil {
		return false, err
	}
	for _, ms := range w.before.loose {
		if ms < w.now || ms > w.now+leastGrace {
			return true, nil
		}
	}
	return false, nil
}

// batch delivers the entries after the position.
func (w *work) batch(ctx context.Context, pos position, finger string) (bool, error) {
	if err := w.read.start(ctx, w.record, pos.id); err != nil {
		return false, err
	}
	if w.before.known == nil || pos.id != w.delivered { // or another drain knows more
		if err := w.before.load(ctx, w.drain.Store); err != nil {
			return false, err
		}
	}
	f, n, err := w.fold(ctx)
	if err != nil {
		return false, err
	}
	upto := cmp.Or(f.last, pos.id)
	commands, dead := w.sort(f.finish())
	w.crowded = f.crowded
	w.full = w.full || f.crowded
	if f.entries == 0 && len(commands) == 0 {
		return false, nil
	}
	for _, e := range f.unread {
		dead.add(Letter{Kind: LetterError, Entry: e.ID, DB: e.DB, Args: e.Commands[0], Error: e.bad.Error(), Folded: 1})
	}
	if n.Entries == 0 && len(commands) == 0 { // markers
		if err := w.settle(ctx, upto, "", nil); err != nil {
			return false, err
		}
		w.read.drop(f.entries, upto)
		return w.left(ctx)
	}
	if err := w.link.selects(ctx, commands); err != nil {
		return false, err
	}
	t := transaction{
		to: position{id: upto}, finger: finger, known: w.record.Primary,
		commands: w.unselected(commands, &dead), reset: f.reset, more: w.full && !f.exact,
	}
	if err := w.afford(t.cost()); err != nil {
		return false, err
	}
	doubt := upto
	if Mutate.NoDoubt {
		doubt = ID{}
	}
	read := w.record
	if err := w.mark(ctx, read, doubt); err != nil {
		return false, err
	}
	t.now = w.now
	w.read.prefetch(ctx, 2*f.entries)
	errs, err := w.link.exec(ctx, &t)
	if err != nil {
		return false, w.notQueued(t.commands, err)
	}
	refusal := w.judge(t.commands, errs, &dead)
	if err := w.adopted(ctx, finger); err != nil {
		return false, err
	}
	if t.failed != nil {
		// A limit that was met within the transaction. Local remembers what the primary does not know.
		dead.behind = pos.String()
		refusal = cmp.Or(refusal, w.link.judge("position", t.failed))
	}
	dead.deadlines = w.before.learn(f)
	if err := w.settle(ctx, upto, "", &dead); err != nil {
		return false, err
	}
	w.delivered = upto
	w.read.drop(f.entries, upto)
	w.progress.Entries += n.Entries
	w.progress.Writes += n.Writes
	w.progress.Again += n.Again
	w.progress.Batches++
	if refusal != nil {
		return false, refusal
	}
	return w.left(ctx)
}

// left reports whether there is more to deliver, without asking the primary.
func (w *work) left(ctx context.Context) (bool, error) {
	if w.redo > 0 || w.record.Epoch != w.read.epoch || w.crowded {
		return true, nil
	}
	e, err := w.read.next(ctx, 0)
	return e != nil, err
}

// fold reads as many entries as one transaction may deliver, and counts them.
func (w *work) fold(ctx context.Context) (f *folder, n Progress, err error) {
	bounds := w.drain.Batch.orDefault()
	f = newFolder(w.now, w.drain.home(), bounds, !w.apart, w.before, &w.chains)
	f.part, f.shut = w.part, w.record.Serving == Closing
	if left := w.options.Budget - w.commands() - 3; w.options.Budget > 0 && left <= int64(bounds.Commands) {
		f.bounds.Commands, f.exact = int(max(left, 1)), true
	}
	for {
		e, err := w.read.next(ctx, f.entries)
		if err != nil {
			return nil, n, err
		}
		w.full = e != nil
		f.end = e == nil
		if e == nil || !f.add(e) {
			return f, n, nil
		}
		if len(e.Commands) == 0 {
			continue
		}
		n.Entries++
		n.Writes += int64(len(e.Commands))
		if !e.ID.After(w.record.Floor) {
			n.Again++
		}
	}
}

// sort takes out what the primary would not queue: it becomes dead letters.
func (w *work) sort(commands []command) ([]command, letters) {
	dead := letters{at: time.UnixMilli(w.now)}
	if len(w.bad) == 0 {
		return commands, dead
	}
	kept := commands[:0]
	for i := range commands {
		c := &commands[i]
		if err := w.bad[badOf(c)]; err != nil {
			dead.add(letterOf(c, LetterError, err))
			continue
		}
		kept = append(kept, *c)
	}
	return kept, dead
}

// unselected takes out what is for databases that the primary does not have.
func (w *work) unselected(commands []command, dead *letters) []command {
	kept := commands[:0]
	for i := range commands {
		if err := w.link.known[commands[i].db]; err != nil {
			dead.add(letterOf(&commands[i], LetterError, err))
			continue
		}
		kept = append(kept, commands[i])
	}
	return kept
}

// notQueued remembers which commands the primary does not take.
func (w *work) notQueued(commands []command, err error) error {
	if queue, ok := errors.AsType[*queueError](err); ok {
		for i, reply := range queue.replies {
			c := &commands[i]
			if c.each > 0 {
				w.apart = true
				continue
			}
			w.bad[badOf(c)] = reply
		}
	}
	return err
}

// judge makes letters of what failed in a transaction that ran, and returns the refusal if there is one
// among them.
func (w *work) judge(commands []command, errs []error, dead *letters) (refusal error) {
	for i, err := range errs {
		if err == nil {
			continue
		}
		refused := w.drain.refuses(err)
		if refused && refusal == nil {
			refusal = fmt.Errorf("%w: inside EXEC: %w", ErrRefused, err)
		}
		if dead.failed(&commands[i], err, refused) {
			w.progress.Renumbered++
		}
	}
	return refusal
}
