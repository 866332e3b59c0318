package fallback

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis/go-redis/v9"
)

// batch is a pipeline or a transaction on its way.
type batch struct {
	in   *instance
	next redis.ProcessPipelineHook
	cmds []redis.Cmder // of a transaction: MULTI, the commands, EXEC

	seat  *seat // of a Conn or a Watch in a state of its own
	stays bool  // whatever is in it, it goes to the primary

	// What look finds.
	tx    bool
	raw   bool // some commands hide error replies in their values
	reads bool // nothing but reads: go-redis may repeat it by itself
	each  bool // each command is marked: it may be a cluster's, which sends them apart
	began time.Time

	// What judge finds.
	code  bool // scripts or functions by their names
	kept  bool // never to local: it holds what belongs to one connection or server
	twice bool // all of it may run twice, in this order

	marks marks // of the last attempt, where each command was marked
}

// look finds what must be known before the batch is sent. It stops at the first command that is no
// read: a hundred looks at a hundred commands are 2 % of what it costs to send them.
func (b *batch) look(h *Hook) {
	if n := len(b.cmds); n > 2 {
		_, multi := b.cmds[0].(*redis.StatusCmd)
		_, exec := b.cmds[n-1].(*redis.SliceCmd)
		b.tx = multi && exec && command.Is(b.cmds[0].Args(), "multi") && command.Is(b.cmds[n-1].Args(), "exec")
	}
	for _, cmd := range b.cmds {
		switch cmd := cmd.(type) {
		case *redis.RawCmd, *redis.RawWriteToCmd, *redis.MapStringSliceInterfaceCmd:
			b.raw = true
		case *redis.Cmd, *redis.StringCmd: // EVAL and SCRIPT LOAD, among others
			h.code.seen(cmd.Args())
		}
	}
	b.each = !b.tx && (h.cluster.Load() || !b.in.dials.Load() && !b.in.is(alone))
	b.reads = !b.tx
	for _, cmd := range b.cmds {
		// A JSON command that has an error does not read its reply: go-redis must not repeat it either.
		_, json := cmd.(*redis.JSONCmd)
		if b.reads = b.reads && !json && command.Of(cmd.Args()).Has(command.Read) && !cmd.NoRetry(); !b.reads {
			break
		}
	}
}

// judge finds what must be known to send a part of the batch again, or elsewhere.
func (b *batch) judge(h *Hook) {
	var repeat command.Repeat
	b.kept, b.twice = b.stays, true
	for _, cmd := range b.inner() {
		args := cmd.Args()
		class := command.Of(args)
		if class.Has(command.Code) {
			b.code = true
			h.code.script(args) // remembers it
		}
		b.kept = b.kept || class.Any(command.Session|command.Admin) && (b.seat == nil || !movesAlong(args))
		b.twice = b.twice && !cmd.NoRetry()
		if h.cfg.repeatable == nil || !h.cfg.repeatable(cmd) {
			repeat.Add(class, args)
		}
	}
	b.twice = b.twice && repeat.Harmless()
}

// inner returns the commands without MULTI and EXEC.
func (b *batch) inner() []redis.Cmder {
	if b.tx {
		return b.cmds[1 : len(b.cmds)-1]
	}
	return b.cmds
}

// send makes one attempt on the primary with some of the commands, in order; with all of them, if it
// is a transaction. It reports whether any of it may have run: not, if go-redis never asked for the
// arguments of the first.
//
// All but reads is marked at its first command, and go-redis then repeats none of it: the hook does,
// where that is safe. Never at MULTI, on whose type go-redis relies. The mark stands in the slice that
// the caller gave, while go-redis has it, instead of in a copy.
func (b *batch) send(ctx context.Context, part []redis.Cmder) (err error, unwritten bool) { //nolint:revive // the flag explains the error
	cmds := part
	if b.tx {
		cmds = b.cmds
	}
	switch {
	case b.reads:
		return b.next(ctx, cmds), false
	case b.each:
		return b.sendMarked(ctx, part), false
	}
	first := part[0]
	o := &once{Cmder: first}
	part[0] = o
	defer func() { part[0] = first }()
	err = b.next(ctx, cmds)
	if errors.Is(err, redis.ErrFDPipelineDiverts) {
		// FDPipelined takes no command that must not be repeated. It has sent nothing, and on a full
		// duplex nothing is repeated: see onStream.
		part[0] = first
		return b.next(ctx, cmds), false
	}
	return err, !o.written.Load()
}

// weighed is what became of a part of a batch.
type weighed struct {
	fault
	redo []redis.Cmder // what may be sent again, in order
}

// gravity orders the verdicts by what they ask for.
var gravity = [...]int{Unknown: 0, Answered: 1, Cancelled: 2, Denied: 3, Busy: 4, Lost: 5, Capacity: 6, Limit: 7}

func (f *fault) worsen(g fault) {
	if gravity[g.verdict] > gravity[f.verdict] {
		*f = g
	}
}

// weigh judges a part of the batch after an attempt on the primary. Only what failed is ever sent
// again.
func (h *Hook) weigh(e *era, b *batch, part []redis.Cmder, err error, unwritten bool) weighed {
	if b.tx {
		return h.weighTx(e, b, err, unwritten)
	}
	var w weighed
	if err != nil && !isReply(err) {
		// It belongs to all of them. What they have for errors may be of an earlier use: go-redis keeps it.
		if w.fault = h.fault(e, part[0], b.twice || unwritten, err); w.again {
			w.redo, w.cmds = part, len(part)
			return w
		}
		w.fault = fault{}
	}
	failed := 0
	for i, cmd := range part {
		var f fault
		switch cerr := cmd.Err(); {
		case b.marks.unwritten(i) && err != nil && !isReply(err):
			f = h.fault(e, cmd, true, err) // whatever error it has is of an earlier use
		case cerr != nil:
			f = h.misread(&call{cmd: cmd, began: b.began}, h.fault(e, cmd, b.twice || unwritten || b.marks.unwritten(i), cerr))
		case b.raw && hidesErrors(cmd):
			f = h.hiddenFault(&call{cmd: cmd, began: b.began})
		default:
			continue
		}
		if f.again {
			w.redo = append(w.redo, cmd)
		}
		if gravity[f.verdict] >= gravity[Denied] {
			failed++
		}
		w.worsen(f)
	}
	if w.verdict == Unknown { // not one command has an error: it belongs to all of it
		w.fault, failed = h.fault(e, part[0], b.twice || unwritten, err), len(part)
		if w.again {
			w.redo = part
		}
	}
	w.cmds = failed
	return w
}

// weighTx judges a transaction: all of it is sent again, or nothing.
func (h *Hook) weighTx(e *era, b *batch, err error, unwritten bool) weighed {
	inner := b.inner()
	var w weighed
	switch {
	case err == nil, !isReply(err):
		w.fault = h.fault(e, inner[0], b.twice || unwritten, err)
	case b.cmds[0].Err() == nil && !aborted(inner):
		// EXEC ran, and the errors are in its reply: a refusal among them is a signal, no more. Or it
		// is a cluster, whose MULTI and EXEC are not these: there the refusal of one of them stands at
		// every command. What every command was refused for has not run, if the connections made
		// sure that MULTI was not refused alone.
		refused := h.onNodes.Load()
		for _, cmd := range inner {
			cerr := cmd.Err()
			f := h.fault(e, cmd, false, cerr)
			refused = refused && f.again && cerr != nil && !fromScript(cmd)
			w.worsen(f)
		}
		w.again = refused
	case redis.IsExecAbortError(err), aborted(inner):
		// Nothing ran, because something could not be queued: that says what to do.
		w.fault = fault{verdict: Answered, err: err}
		for _, cmd := range inner {
			if cerr := cmd.Err(); cerr != nil && !redis.IsExecAbortError(cerr) {
				w.worsen(h.fault(e, cmd, false, cerr))
			}
		}
	default:
		// MULTI or EXEC was refused. That nothing ran is what the connection made sure of.
		w.fault = h.fault(e, b.cmds[0], false, err)
	}
	if w.again {
		w.redo = inner
	}
	w.cmds = len(inner)
	return w
}

// aborted reports that EXEC was: nothing of the transaction ran. A ClusterClient shows that at the
// commands alone.
func aborted(inner []redis.Cmder) bool {
	return slices.ContainsFunc(inner, func(cmd redis.Cmder) bool { return redis.IsExecAbortError(cmd.Err()) })
}

// settleBatch decides what becomes of a batch that did not simply succeed on the primary.
func (h *Hook) settleBatch(ctx context.Context, e *era, b *batch, part []redis.Cmder, err error, unwritten bool) error {
	b.judge(h)
	wait := h.retryBackoff()
	for free := 0; ; {
		w := h.weigh(e, b, part, err, unwritten)
		cur := h.hear(ctx, e, w.fault)
		switch {
		case len(w.redo) == 0, ctx.Err() != nil, b.kept && cur.undialed():
			return h.finish(e, b, err)
		case cur.serving == Local && !b.kept:
			h.show(e, b)
			return h.serveBatch(ctx, cur, b, w.redo)
		case w.now && free < maxFree, w.verdict == Limit && cur != e && !b.kept && free < maxFree:
			free++
		case w.verdict == Limit, w.verdict == Capacity, b.reads && !w.now:
			return h.finish(e, b, err)
		case !pause(ctx, cur, wait.NextBackOff()):
			return h.finish(e, b, err)
		}
		if e = h.era.Load(); e.serving == Local && !b.kept {
			h.show(e, b)
			return h.serveBatch(ctx, e, b, w.redo)
		}
		b.clear(w.redo)
		part = w.redo
		if err, unwritten = b.send(ctx, part); err == nil && !b.raw {
			h.primary.answered(len(part))
			return h.finish(e, b, nil)
		}
	}
}

// clear takes the errors of an earlier attempt away. go-redis keeps them where it writes none, and
// some commands do not read their reply while they have one.
func (b *batch) clear(part []redis.Cmder) {
	for _, cmd := range part {
		cmd.SetErr(nil)
	}
	if b.tx {
		b.cmds[0].SetErr(nil)
		b.cmds[len(b.cmds)-1].SetErr(nil)
	}
}

// show gives each command the error that its caller may see.
func (h *Hook) show(e *era, b *batch) {
	for _, cmd := range b.cmds {
		cerr := cmd.Err()
		if cerr == nil {
			continue
		}
		shown := h.plain(e, cerr)
		if v := h.verdict(cmd, cerr); v == Limit || v == Capacity {
			shown = newLimitError(shown)
		}
		if shown != cerr { //nolint:errorlint // the same error, not a like one
			cmd.SetErr(shown)
		}
	}
}

// finish ends a batch whose commands are settled, and returns its error.
func (h *Hook) finish(e *era, b *batch, err error) error {
	h.show(e, b)
	if err != nil && !isReply(err) {
		return h.plain(e, err) // of all of it, as go-redis returns it
	}
	if first := firstErr(b.cmds); first != nil {
		return first
	}
	return err
}

func firstErr(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}

func isReply(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}
