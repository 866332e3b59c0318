package journal

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/mark.lua
var markLua string

//go:embed lua/settle.lua
var settleLua string

//go:embed lua/adopt.lua
var adoptLua string

var (
	markScript   = redis.NewScript(markLua)
	settleScript = redis.NewScript(settleLua)
	adoptScript  = redis.NewScript(adoptLua)
)

// look reads the record.
func (w *work) look(ctx context.Context) error {
	id := ""
	if w.record != nil {
		id = w.record.ID
	}
	_, err := w.marks(ctx, id, "", ID{})
	return err
}

// mark marks entries as being delivered. If the record has changed since they were read nothing may be
// sent: a stream that was renamed meanwhile may have been missed.
func (w *work) mark(ctx context.Context, read *Record, upto ID) error {
	done, err := w.marks(ctx, read.ID, strconv.FormatUint(read.Epoch, 10), upto)
	if err == nil && (!done || w.record.Primary != read.Primary) {
		return errChanged
	}
	return err
}

func (w *work) marks(ctx context.Context, id, epoch string, upto ID) (bool, error) {
	keys, args := w.marking(id, epoch, upto)
	reply, err := markScript.Run(ctx, w.drain.Store.rdb, keys, args...).Slice()
	if err != nil {
		return false, unfit(err)
	}
	return w.heard(reply, id)
}

// marking returns the keys and the arguments of the script.
func (w *work) marking(id, epoch string, upto ID) (keys []string, args []any) {
	s := w.drain.Store
	return []string{s.state(), s.redo()}, []any{id, epoch, upto.String()}
}

// heard takes over what a script on local has answered.
func (w *work) heard(reply []any, id string) (bool, error) {
	if len(reply) != 4 {
		return false, errRecord
	}
	if fields, ok := reply[2].([]any); ok && len(fields) == 0 {
		return false, fmt.Errorf("%w: %w", errStop, ErrGone)
	}
	v, err := parseView(reply[1:])
	if err != nil {
		return false, err
	}
	if id != "" && v.Record.ID != id {
		return false, fmt.Errorf("%w: %w", errStop, ErrGone)
	}
	done, _ := reply[0].(int64)
	w.record, w.now = v.Record, v.Now.UnixMilli()
	w.redo, _ = reply[3].(int64)
	w.progress.Floor = v.Record.Floor
	return done == 1, nil
}

// settle records that everything up to an id has been delivered, with the letters of it. With a floor
// given it does nothing unless that is the floor still.
func (w *work) settle(ctx context.Context, upto ID, floor string, dead *letters) error {
	if err := w.drain.Store.unlike(ctx, dead.keys()); err != nil {
		return err
	}
	keys, args := w.settling(upto, floor, dead)
	spent := w.commands()
	reply, err := settleScript.Run(ctx, w.drain.Store.rdb, keys, args...).Slice()
	if err != nil {
		return err
	}
	return w.settled(reply, spent, dead)
}

// settling returns the keys and the arguments of the script.
func (w *work) settling(upto ID, floor string, dead *letters) (keys []string, args []any) {
	s := w.drain.Store
	args = []any{w.record.ID, upto.String(), floor, w.commands() - w.told, Retention.Milliseconds(), "", 0}
	if dead != nil {
		args[5], args[6] = dead.behind, 3*len(dead.all)
		for i := range dead.all {
			l := &dead.all[i]
			args = append(args, l.ID, l.text(), again(l))
		}
		args = append(args, dead.deadlines...)
	}
	return []string{s.state(), s.stream(), s.kept(), s.dead(), s.redo(), s.deadlines()}, args
}

// settled takes over what the script has answered, which was told of so many commands.
func (w *work) settled(reply []any, spent int64, dead *letters) error {
	done, err := w.heard(reply, w.record.ID)
	if err != nil {
		return err
	}
	if !done {
		return errChanged
	}
	w.told = spent
	if dead != nil {
		for i := range dead.all {
			if dead.all[i].Kind != LetterRefused {
				w.progress.Dead++
			}
		}
	}
	return nil
}

// settleAndMark settles a batch, and marks the one that was folded meanwhile: in this order, but on one
// way to local. Both compare what they always do. It marks only what will be sent as things stand, or a
// position that is lost would put more in doubt than may have run.
func (w *work) settleAndMark(ctx context.Context, upto ID, dead *letters) error {
	a := w.next
	if a == nil || !a.folded() || w.redo > 0 || len(dead.all) > 0 || w.link.armed == nil ||
		!a.stands(w.link.armed.position, w.record) || Mutate.NoDoubt {
		return w.settle(ctx, upto, "", dead)
	}
	read, spent := w.record, w.commands()
	keys, args := w.settling(upto, "", dead)
	pipe := w.drain.Store.rdb.Pipeline()
	settle := settleScript.EvalSha(ctx, pipe, keys, args...)
	keys, args = w.marking(read.ID, strconv.FormatUint(read.Epoch, 10), a.f.last)
	mark := markScript.EvalSha(ctx, pipe, keys, args...)
	_, _ = pipe.Exec(ctx)
	reply, err := settle.Slice()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return w.settle(ctx, upto, "", dead)
	} else if err != nil {
		return err
	}
	if err = w.settled(reply, spent, dead); err != nil {
		return err
	}
	if reply, err = mark.Slice(); err != nil { // it is marked with its own turn
		return nil
	}
	done, err := w.heard(reply, read.ID)
	a.marked = err == nil && done && w.record.Primary == read.Primary
	return err
}

func again(l *Letter) string {
	if l.Kind == LetterRefused {
		return "1"
	}
	return ""
}

// recognise compares the fingerprint of the primary with the one that the journal is for. It returns the
// one that has to be written, "" if none.
func (w *work) recognise(ctx context.Context, finger string) (string, error) {
	known := w.record.Primary
	switch {
	case finger == known && finger != "":
		return "", nil
	case finger == "" && known == "":
		return rand.Text(), nil
	case finger == "":
		// Flushed or evicted: the address tells whether it is the same server.
		if w.drain.Address == w.record.Address || w.drain.Adopt {
			return known, nil
		}
	case known == "" || w.drain.Adopt:
		return "", w.adopt(ctx, known, finger)
	}
	return "", fmt.Errorf("%w: %w", errStop, ErrOtherPrimary)
}

func (w *work) adopt(ctx context.Context, from, to string) error {
	done, err := adoptScript.Run(ctx, w.drain.Store.rdb, []string{w.drain.Store.state()}, w.record.ID, from, to).Int()
	if err != nil {
		return err
	}
	if done == 0 {
		return errChanged
	}
	w.record.Primary = to
	return nil
}

// adopted records a fingerprint that was just written to the primary.
func (w *work) adopted(ctx context.Context, finger string) error {
	if finger == "" || w.record.Primary == finger {
		return nil
	}
	return w.adopt(ctx, "", finger)
}

// mend puts a position right that no batch can go on from. It reports true if it has sent something.
func (w *work) mend(ctx context.Context, pos position, finger string) (bool, error) {
	to := position{id: pos.id}
	switch {
	case !pos.present && w.record.Doubt.After(w.record.Floor):
		// A batch may have run. Who reads this buries it: to send it again could be twice.
		to.id, to.skipped = w.record.Doubt, true
	case !pos.present:
		to.id = w.record.Floor
	case pos.skipped:
		if err := w.bury(ctx, pos.id); err != nil {
			return false, err
		}
	case w.record.Behind != "" && w.record.Behind == pos.String():
		// It has not rolled back: it was refused in the middle of the last transaction.
		to.id = w.record.Floor
	default:
		if pos.letter != "" || pos.letters != "" {
			if err := w.resent(ctx, pos); err != nil {
				return false, err
			}
		}
		if pos.id.After(w.record.Floor) {
			// It was delivered by one that died, or has not settled yet.
			return false, w.confirm(ctx, pos.id)
		}
		return false, nil
	}
	if _, err := w.link.exec(ctx, &transaction{to: to, finger: finger}); err != nil {
		return false, err
	}
	return true, w.adopted(ctx, finger)
}

// buryAtOnce is how many entries one script buries.
const buryAtOnce = 500

// bury makes dead letters of the entries after the floor, up to an id: they may have been delivered, and
// nobody can know. If they were, their keys may have been given more time than they have, so that is made
// good; and if not, a key then expires as it does on local.
func (w *work) bury(ctx context.Context, upto ID) error {
	for w.record.Floor.Compare(upto) < 0 {
		if err := w.read.start(ctx, w.record, w.record.Floor); err != nil {
			return err
		}
		dead := letters{at: time.UnixMilli(w.now)}
		due := dueAfterwards{home: w.drain.home(), at: map[place]int64{}}
		last, n := upto, 0
		for ; ; n++ {
			e, err := w.read.next(ctx, n)
			if err != nil {
				return err
			}
			if e == nil || e.ID.After(upto) {
				last = upto
				break
			}
			if n == buryAtOnce {
				break
			}
			last = e.ID
			due.note(e)
			if all := namesOf(e); len(all) > 0 {
				// Their state may be delivered as often as one likes.
				if err := w.again(ctx, all); err != nil {
					return err
				}
				continue
			}
			for i, args := range e.Commands {
				l := Letter{
					Kind: LetterDoubt, Entry: e.ID, Index: i, DB: e.DB, Args: args, Doubt: true, Folded: 1,
					Error: "the primary lost the position: the write may have been delivered",
				}
				for _, d := range e.Deadlines {
					if d.Command == i {
						l.Deadlines = append(l.Deadlines, Deadline{Arg: d.Arg, Ms: d.Ms})
					}
				}
				dead.add(l)
			}
		}
		dead.deadlines = due.changes()
		w.before.known = nil // read again with the next batch
		if err := w.settleRead(ctx, w.record, last, &dead); err != nil {
			return err
		}
	}
	return nil
}
