package fallback

import (
	"bytes"
	"context"
	"errors"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// transaction sends a whole transaction: as one call of our script, or, where something in it cannot
// stand in one, natively. It is one entry. It returns how many commands were answered: all or none.
func (s *share) transaction(ctx context.Context, e *era, b *batch, part []redis.Cmder, notes []journal.Noted) (int, error) {
	args, multi, kind := 0, false, journal.KindTx
	for i := range notes {
		n := &notes[i]
		args += len(n.Args)
		switch n.Note.Code {
		case command.NoteMulti:
			multi = true
		case command.NoteNothing, journal.NoteRead: // the latter where a fence has sent it here again
			multi = multi || !s.store.Scriptable(n.Args)
			n.Note.Code = journal.NoteRead
			switch part[i].(type) {
			case *redis.Cmd, *redis.RawCmd, *redis.RawWriteToCmd:
				multi = multi || s.resp3 // shown as it came
			}
		}
	}
	multi = multi || args > journal.MaxArgs
	if multi {
		kind = journal.KindScript
	}
	db, label := s.database(b.seat)
	armed := b.seat != nil && b.seat.armed
	var err error
	switch {
	case armed && multi:
		err = s.armedNatively(ctx, e, b, db, label, kind, part)
	case armed:
		err = s.armedScript(ctx, e, b, db, label, part, notes)
	case multi:
		err = s.inMulti(ctx, e, db, label, kind, part, true)
	default:
		w := journal.Write{Fence: e.rec.Fence(), Kind: kind, RESP3: s.resp3, DB: db, Label: label, Many: true, Keys: s.keys.Load()}
		err = s.inScript(ctx, b, item{cmds: part, args: s.store.Args(w, notes)})
	}
	if err != nil && (!isReply(err) || journal.Fenced(err) || journal.Full(err) || journal.KeysWanted(err)) || errors.Is(err, redis.TxFailedErr) {
		return 0, err
	}
	if err != nil && firstErr(part) == nil {
		// None of it ran: local is busy, say. Without an error of its own a command would count as done.
		for _, cmd := range part {
			cmd.SetErr(err)
		}
	}
	return len(part), err
}

// inScript sends the transaction as one call.
func (s *share) inScript(ctx context.Context, b *batch, it item) error {
	conn, err := b.target(ctx, s.h)
	if err != nil {
		return err
	}
	it.call = redis.NewRawCmd(ctx, it.args...)
	items := []item{it}
	if err := s.exchange(ctx, b, conn, items); err != nil {
		return err
	}
	if unknownScript(items[0].refusal()) {
		if err := s.sendWhole(ctx, b, conn, items); err != nil {
			return err
		}
	}
	return s.received(&items[0])
}

// armedScript sends the transaction of a Watch: EXEC compares what was watched, and the script within it
// the fence.
func (s *share) armedScript(ctx context.Context, e *era, b *batch, db int, label string, part []redis.Cmder, notes []journal.Noted) error {
	conn, err := b.seat.local(ctx, "", true)
	if err != nil {
		return err
	}
	w := journal.Write{Fence: e.rec.Fence(), Kind: journal.KindTx, RESP3: s.resp3, DB: db, Label: label, Many: true, Keys: s.keys.Load()}
	args := s.store.Args(w, notes)
	exec := redis.NewRawCmd(ctx, "exec")
	p := conn.Pipeline()
	// By its body: in a transaction there is no second attempt.
	sent := []redis.Cmder{&once{Cmder: redis.NewStatusCmd(ctx, "multi")}, redis.NewStatusCmd(ctx, s.store.Body(args)...), exec}
	if err := p.BatchProcess(ctx, sent...); err != nil {
		return err
	}
	if _, err := p.Exec(ctx); err != nil && !isReply(err) {
		b.seat.broken()
		return err
	}
	for _, cmd := range sent[:2] {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	raw := exec.Val()
	switch {
	case bytes.HasPrefix(raw, []byte("*-1")), bytes.HasPrefix(raw, []byte("_")):
		return redis.TxFailedErr
	case !bytes.HasPrefix(raw, []byte("*1\r\n")):
		text, _, _ := bytes.Cut(bytes.TrimPrefix(raw, []byte("-")), []byte("\r"))
		return replyError(text)
	}
	raw = raw[len("*1\r\n"):]
	if len(raw) > 0 && raw[0] == '-' {
		text, _, _ := bytes.Cut(raw[1:], []byte("\r"))
		err := replyError(text)
		if journal.KeysWanted(err) {
			s.keys.Store(true)
		} else if !journal.Fenced(err) {
			return err
		}
		return s.begunElsewhere(ctx)
	}
	if err := s.replies.Answer(raw, part); err != nil {
		return err
	}
	for _, cmd := range part {
		exact(cmd)
	}
	return firstErr(part)
}

// armedNatively is the same for what cannot stand in a script: the fence is watched as well, in the
// journal's database.
func (s *share) armedNatively(ctx context.Context, e *era, b *batch, db int, label string, kind journal.Kind, part []redis.Cmder) error {
	conn, err := b.seat.local(ctx, "", true)
	if err != nil {
		return err
	}
	switch err := s.watchFence(ctx, conn, e, db); {
	case err == nil:
	case journal.Fenced(err):
		return s.begunElsewhere(ctx)
	case journal.Full(err):
		return err
	default:
		b.seat.broken()
		return err
	}
	err = s.execute(ctx, conn, e, db, label, kind, part, true, nil)
	if errors.Is(err, errFenced) || journal.Fenced(err) {
		return s.begunElsewhere(ctx)
	}
	if err != nil && !isReply(err) {
		b.seat.broken()
	}
	return err
}

// begunElsewhere is the error of a transaction that another epoch has met: its caller's loop begins again,
// on the server that serves by then.
func (s *share) begunElsewhere(ctx context.Context) error {
	s.fenced.Add(1)
	_, _ = s.look(ctx)
	return redis.TxFailedErr
}
