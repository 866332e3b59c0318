package fallback

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// scripted is a command that is sent as a call of our script, whose reply is the command's own.
type scripted struct {
	redis.Cmder
	args []any
}

// Args returns the arguments of the call.
func (s *scripted) Args() []any { return s.args }

// noted returns what is known of a command's effect, where it is one that the journal must hold.
func (h *Hook) noted(e *era, cmd redis.Cmder, class command.Class) (journal.Noted, bool) {
	if e.rec == nil || class.Has(command.Read) && !class.Has(command.Script) || h.journal() == nil {
		return journal.Noted{}, false
	}
	args := cmd.Args()
	n := h.share.store.Note(args)
	return n, n.Note.Code != command.NoteNothing
}

// withCodeJournaled is journaled for what may be a script or a function that local does not have.
func (h *Hook) withCodeJournaled(ctx context.Context, e *era, c *call, n journal.Noted, cause error) error {
	err := h.journaled(ctx, e, c, n, cause)
	if unknownFunction(err) && c.class.Has(command.Code) && h.code.missed(ctx, Local, h.local.Process) {
		c.cmd.SetErr(nil)
		return h.journaled(ctx, h.era.Load(), c, n, cause)
	}
	return err
}

// journaled answers a write from local, with its entry in the journal, unless another server serves
// meanwhile.
func (h *Hook) journaled(ctx context.Context, e *era, c *call, n journal.Noted, cause error) error {
	s := h.share
	if s.inOurs(c.seat) {
		return &Error{Primary: cause, Local: errOurDatabase}
	}
	var err error
	for fenced := 0; ; {
		if e, err = s.await(ctx, e); err != nil {
			return h.localError(ctx, e, cause, err)
		}
		if e.serving == Primary {
			if c.ran {
				return cause // its way to the primary is spent
			}
			c.cmd.SetErr(nil)
			h.passedOn(ctx)
			return h.ordinary(ctx, c)
		}
		ticket, ok := h.backup.breaker.Allow()
		if !ok {
			return &Error{Primary: cause, Local: ErrLocalDown}
		}
		s.slow(ctx, e)
		err = s.write(ctx, e, c, n)
		switch {
		case journal.Fenced(err), errors.Is(err, errFenced):
			h.backup.breaker.Done(ticket, breaker.Success)
			c.cmd.SetErr(nil)
			fenced++
			if e, err = s.elsewhere(ctx, fenced); err != nil {
				return h.localError(ctx, e, cause, err)
			}
			continue
		case journal.Full(err):
			h.backup.breaker.Done(ticket, breaker.Success)
			s.turnedAway.Add(1)
			return &Error{Primary: cause, Local: ErrJournalFull}
		}
		switch h.localVerdict(ctx, ticket, err) {
		case Answered:
			h.answeredLocally(ctx, 1)
			if err == nil {
				s.noted.Add(1)
			}
			if e.reason == ReasonStorage && c.class.Has(command.Deletes) {
				_ = c.next(ctx, c.cmd.Clone()) // or the primary could never become well
			}
			return err
		case Cancelled:
			return err
		case Unknown, Limit, Capacity, Busy, Denied, Lost:
		}
		return &Error{Primary: cause, Local: plainLocal(err)}
	}
}

// localError is the error of a command that local could not say anything about.
func (h *Hook) localError(ctx context.Context, e *era, cause, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	h.backup.failure(err)
	if e.serving == Primary || cause == nil {
		cause = e.refusal()
	}
	return &Error{Primary: cause, Local: plainLocal(err)}
}

// slow keeps a writer back that outruns the drain.
func (s *share) slow(ctx context.Context, e *era) {
	f := s.fleet.Load()
	if f == nil || f.Record.Pace <= 0 {
		return
	}
	select {
	case <-time.After(f.Record.Pace):
	case <-e.ended:
	case <-ctx.Done():
	}
}

// write makes one call, or several for a command that waits.
func (s *share) write(ctx context.Context, e *era, c *call, n journal.Noted) error {
	if n.Note.Code == command.NoteMulti {
		return s.natively(ctx, e, c)
	}
	if n.Note.Timeout > 0 {
		return s.waiting(ctx, e, c, n)
	}
	return s.script(ctx, e, c, n)
}

// database is where a call's commands belong, as a number, and as the journal names it.
func (s *share) database(c *seat) (db int, label string) {
	if c == nil || c.dress.db == "" {
		return s.home, ""
	}
	db, err := strconv.Atoi(c.dress.db)
	if err != nil {
		return s.home, ""
	}
	return db, c.dress.db
}

// script sends a command as a call of our script.
func (s *share) script(ctx context.Context, e *era, c *call, n journal.Noted) error {
	w := journal.Write{Fence: e.rec.Fence(), Kind: journal.KindWrite, RESP3: s.resp3, Keys: s.keys.Load()}
	w.DB, w.Label = s.database(c.seat)
	send := s.once
	if hidesErrors(c.cmd) {
		send = s.rawScript
	}
	err := send(ctx, c, s.store.Args(w, []journal.Noted{n}))
	if journal.KeysWanted(err) {
		c.cmd.SetErr(nil)
		s.keys.Store(true)
		w.Keys = true
		err = send(ctx, c, s.store.Args(w, []journal.Noted{n}))
	}
	if err == nil && n.Note.Code == command.NoteInteger {
		exact(c.cmd)
	}
	return err
}

// once sends the call, and again with its script where local does not have that.
func (s *share) once(ctx context.Context, c *call, args []any) error {
	cmd := &scripted{Cmder: c.cmd, args: args}
	err := s.send(ctx, c, cmd)
	if unknownScript(err) {
		// Local was started again, or its scripts were flushed; nothing of it ran.
		c.cmd.SetErr(nil)
		_ = s.store.Load(ctx) // all: see sendWhole
		cmd.args = s.store.Body(cmd.args)
		err = s.send(ctx, c, cmd)
	}
	return err
}

// rawScript is once for a command to which an error is a value, ours as well.
func (s *share) rawScript(ctx context.Context, c *call, args []any) error {
	for {
		raw := redis.NewRawCmd(ctx, args...)
		if err := s.send(ctx, c, raw); err != nil {
			return err
		}
		err := errorIn(raw.Val())
		if err == nil || !ours(err) {
			_ = s.replies.AnswerEach([][]byte{raw.Val()}, []redis.Cmder{c.cmd})
			return c.cmd.Err()
		}
		if !unknownScript(err) || args[0] == "eval" {
			return err
		}
		_ = s.store.Load(ctx)
		args = s.store.Body(args)
	}
}

// errorIn returns the error that a raw reply is.
func errorIn(raw []byte) error {
	if len(raw) == 0 || raw[0] != '-' {
		return nil
	}
	text, _, _ := bytes.Cut(raw[1:], []byte("\r"))
	return replyError(text)
}

// ours reports the error of a call, not of its command.
func ours(err error) bool {
	return journal.Fenced(err) || journal.Full(err) || journal.KeysWanted(err) || unknownScript(err)
}

// send sends the call once: what a script has done it must not do twice.
func (s *share) send(ctx context.Context, c *call, cmd redis.Cmder) error {
	if c.seat != nil && (c.seat.dress.changed || c.seat.armed) {
		return c.seat.process(ctx, cmd, false, c.seat.armed)
	}
	return s.h.onceOnLocal(ctx, cmd)
}

// exact makes an integer again of one that Lua could not hold, and that came as text.
func exact(cmd redis.Cmder) {
	c, ok := cmd.(*redis.Cmd)
	if !ok {
		return
	}
	if text, ok := c.Val().(string); ok {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			c.SetVal(n)
		}
	}
}

// How often a command that waits looks: a script cannot wait.
const (
	waitShortest = 2 * time.Millisecond
	waitLongest  = 50 * time.Millisecond
)

// waiting sends a command that waits again and again, until it brings something or its time is over.
func (s *share) waiting(ctx context.Context, e *era, c *call, n journal.Noted) error {
	until, ok := timeout(n)
	if !ok {
		return s.natively(ctx, e, c) // the server says what is wrong with it
	}
	wait := waitShortest
	for began := time.Now(); ; wait = min(wait*2, waitLongest) {
		err := s.script(ctx, e, c, n)
		if err != redis.Nil { //nolint:errorlint // as go-redis returns it
			return err
		}
		rest := until - time.Since(began)
		if until > 0 && rest <= 0 {
			return err
		}
		if until > 0 {
			wait = min(wait, rest)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-e.ended:
			t.Stop()
			c.cmd.SetErr(nil)
			return errFenced
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		c.cmd.SetErr(nil)
	}
}

// errFenced is what a call comes to whose server serves no more.
var errFenced = errors.New("redis fallback: another server serves")

// timeout is how long a command may wait; 0 for ever.
func timeout(n journal.Noted) (time.Duration, bool) {
	at := int(n.Note.Timeout)
	if at >= len(n.Args) {
		return 0, false
	}
	var v float64
	switch arg := n.Args[at].(type) {
	case int:
		v = float64(arg)
	case int64:
		v = float64(arg)
	case float64:
		v = arg
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(arg), 64)
		if err != nil {
			return 0, false
		}
		v = f
	default:
		return 0, false
	}
	if v < 0 {
		return 0, false
	}
	unit := time.Second
	if n.Note.Opts.Has(command.Millis) {
		unit = time.Millisecond
	}
	d := time.Duration(v * float64(unit))
	if v > 0 {
		d = max(d, time.Millisecond)
	}
	return d, true
}
