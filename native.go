package fallback

import (
	"context"
	"errors"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// What cannot stand in a script of ours is sent as it is, in a transaction that the entry ends: scripts
// and functions of the user, commands that are not known, and those that local will say no to, so that
// it does so in its own words. Which server serves is made sure of by WATCH.
//
// Their entry is written down before it is known what they come to: one of a script that failed stays,
// since half of it may have run.

// natively sends one command.
func (s *share) natively(ctx context.Context, e *era, c *call) error {
	cmd := c.cmd
	if c.class.Has(command.Code) {
		cmd = s.h.code.withBody(cmd)
	}
	db, label := s.database(c.seat)
	return s.inMulti(ctx, e, db, label, journal.KindScript, []redis.Cmder{cmd}, false)
}

// inMulti sends commands as a transaction on a connection of the journal's own, which is in the
// journal's database before and after.
func (s *share) inMulti(ctx context.Context, e *era, db int, label string, kind journal.Kind, cmds []redis.Cmder, tx bool) error {
	conn := s.store.Client().Conn()
	defer func() { _ = conn.Close() }()
	if err := s.armFence(ctx, conn, e, db); err != nil {
		return err
	}
	home := s.store.Database()
	return s.execute(ctx, conn, e, db, label, kind, cmds, tx, &home)
}

// armFence watches the fence, and compares it. It makes sure that there is the database in which the
// commands are to run: were SELECT to fail within MULTI, they would run in the journal's.
func (s *share) armFence(ctx context.Context, conn *redis.Conn, e *era, db int) error {
	key := s.store.FenceKey()
	p := conn.Pipeline()
	_ = p.Process(ctx, redis.NewStatusCmd(ctx, "watch", key))
	got := redis.NewSliceCmd(ctx, "mget", key)
	_ = p.Process(ctx, got)
	there := redis.NewStatusCmd(ctx, "select", db)
	if db != s.home {
		_ = p.Process(ctx, there)
		_ = p.Process(ctx, redis.NewStatusCmd(ctx, "select", s.store.Database()))
	}
	if _, err := p.Exec(ctx); err != nil && there.Err() == nil {
		return err
	}
	fault := there.Err()
	if fault == nil {
		fault = journal.At(e.rec.Fence(), got.Val()[0])
	}
	if fault == nil || !isReply(fault) {
		return fault
	}
	if err := conn.Process(ctx, redis.NewStatusCmd(ctx, "unwatch")); err != nil {
		return err
	}
	return fault
}

// execute sends the transaction on a connection on which the fence is watched. home is the database
// that the connection is to be in afterwards; nil: it is in the commands' own.
func (s *share) execute(ctx context.Context, conn *redis.Conn, e *era, db int, label string, kind journal.Kind, cmds []redis.Cmder, tx bool, home *int) error {
	notes := make([]journal.Noted, 0, len(cmds))
	for _, cmd := range cmds {
		args := cmd.Args()
		if n := s.store.Note(args); n.Note.Code != command.NoteNothing {
			notes = append(notes, n)
		}
	}
	w := journal.Write{Fence: e.rec.Fence(), DB: db, Label: label, Kind: kind, Noting: true}
	// Never by its hash: the commands would have run if local did not know it.
	note := redis.NewCmd(ctx, s.store.Body(s.store.Args(w, notes))...)
	// Local with its memory full takes no entry, and must not run the commands either.
	room := redis.NewIntCmd(ctx, "setrange", s.store.Room(), 0, "")
	all := make([]redis.Cmder, 0, len(cmds)+4)
	if home != nil {
		all = append(all, redis.NewStatusCmd(ctx, "select", db))
	}
	all = append(append(all, cmds...), room, note)
	if home != nil {
		all = append(all, redis.NewStatusCmd(ctx, "select", *home))
	}
	for _, cmd := range cmds {
		cmd.SetErr(nil)
	}
	p := conn.TxPipeline()
	if err := p.BatchProcess(ctx, all...); err != nil {
		return err
	}
	_, err := p.Exec(ctx)
	switch {
	case errors.Is(err, redis.TxFailedErr):
		for _, cmd := range cmds {
			cmd.SetErr(nil)
		}
		return errFenced
	case err == nil:
		return nil
	case redis.IsExecAbortError(err) && !tx:
		for _, cmd := range cmds { // what it was aborted for
			if cerr := cmd.Err(); cerr != nil && !redis.IsExecAbortError(cerr) {
				return cerr
			}
		}
	case isReply(err):
		code := command.Of(cmds[0].Args()).Has(command.Code) && !unknownFunction(err) && !unknownScript(err)
		if id, ok := note.Val().(string); ok && !tx && !code {
			// It failed, all of it. One of a function that local did not know yet would be delivered besides
			// that of the second attempt, to a primary that knows it.
			_ = s.store.Strike(ctx, id)
		}
		return firstErr(cmds)
	}
	return err
}
