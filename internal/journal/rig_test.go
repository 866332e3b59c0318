package journal_test

import (
	"context"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// rig is a local that serves and a primary that takes the journal, both real servers.
type rig struct {
	tb      testing.TB
	ctx     context.Context
	local   *redistest.Server
	primary *redistest.Server
	store   *journal.Store
	rdb     *redis.Client // of the primary
	last    journal.ID    // of the journal
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	r := &rig{tb: tb, ctx: context.Background(), local: redistest.Start(tb), primary: redistest.Start(tb)}
	r.store = r.open()
	r.rdb = r.primary.Client(tb)
	v, err := r.store.Open(r.ctx, "address")
	r.check(err)
	_, done, err := r.store.Change(r.ctx, v.Record, journal.Change{What: journal.Trip})
	r.check(err)
	if !done {
		tb.Fatal("no trip")
	}
	return r
}

// open returns a store with a client of its own.
func (r *rig) open() *journal.Store {
	rdb := r.client(r.local, journal.DefaultDatabase)
	return journal.New(rdb, "test", journal.DefaultDatabase)
}

func (r *rig) client(s *redistest.Server, db int) *redis.Client {
	rdb := redis.NewClient(&redis.Options{
		Addr: s.Addr(), DB: db, MaxRetries: -1, DisableIdentity: true, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	r.tb.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// drain returns a drain of another process.
func (r *rig) drain() *journal.Drain {
	return &journal.Drain{
		Store: r.open(), Primary: r.client(r.primary, 0), ID: "d", Address: "address",
		Refused: func(err error) bool { return strings.Contains(err.Error(), "limit exceeded") },
	}
}

func (r *rig) check(err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatal(err)
	}
}

// write appends an entry of one command, given as words, with "3:" before it for database 3.
func (r *rig) write(words string, deadlines ...journal.Deadline) journal.ID {
	r.tb.Helper()
	db, rest, ok := strings.Cut(words, ":")
	if !ok {
		db, rest = "", words
	}
	return r.entry(&journal.Entry{Kind: journal.KindWrite, DB: db, Commands: [][]string{strings.Fields(rest)}, Deadlines: deadlines})
}

func (r *rig) entry(e *journal.Entry) journal.ID {
	r.tb.Helper()
	id := "*"
	if e.ID != (journal.ID{}) {
		id = e.ID.String()
	}
	got, err := r.store.Client().XAdd(r.ctx, &redis.XAddArgs{Stream: "fallback:test:journal", ID: id, Values: e.Fields()}).Result()
	r.check(err)
	r.last = journal.ParseID(got)
	return r.last
}

func (r *rig) record() *journal.Record {
	r.tb.Helper()
	v, err := r.store.Open(r.ctx, "")
	r.check(err)
	return v.Record
}

func (r *rig) now() int64 {
	r.tb.Helper()
	at, err := r.store.Client().Time(r.ctx).Result()
	r.check(err)
	return at.UnixMilli()
}

// deliver drains, and expects this error.
func (r *rig) deliver(d *journal.Drain) journal.Progress {
	r.tb.Helper()
	p, err := d.Deliver(r.ctx, journal.Options{})
	r.check(err)
	return p
}

// wants checks string values on the primary.
func (r *rig) wants(pairs ...string) {
	r.tb.Helper()
	for i := 0; i < len(pairs); i += 2 {
		got, err := r.rdb.Get(r.ctx, pairs[i]).Result()
		if err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
			r.tb.Errorf("%s: %v", pairs[i], err)
		}
		if got != pairs[i+1] {
			r.tb.Errorf("%s on the primary is %q, want %q", pairs[i], got, pairs[i+1])
		}
	}
}

func (r *rig) letters(want int) []journal.Letter {
	r.tb.Helper()
	all, err := r.store.Letters(r.ctx, 0)
	r.check(err)
	if len(all) != want {
		r.tb.Fatalf("%d dead letters, want %d: %+v", len(all), want, all)
	}
	return all
}

// settled checks that the record says that all is delivered.
func (r *rig) settled() {
	r.tb.Helper()
	rec := r.record()
	if rec.Floor != r.last || rec.Doubt != (journal.ID{}) {
		r.tb.Errorf("floor %s, doubt %s; want %s and none", rec.Floor, rec.Doubt, r.last)
	}
}

// spy is a hook of a client that may stop or fail what passes.
type spy struct {
	before func(name string, cmds []redis.Cmder) error // an error is the reply, and nothing is sent
	after  func(name string, cmds []redis.Cmder, err error) error
}

func (s *spy) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *spy) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return s.pass([]redis.Cmder{cmd}, func() error { return next(ctx, cmd) })
	}
}

func (s *spy) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return s.pass(cmds, func() error { return next(ctx, cmds) })
	}
}

func (s *spy) pass(cmds []redis.Cmder, next func() error) error {
	name := cmds[0].Name()
	if name == "hello" || name == "client" {
		return next()
	}
	if s.before != nil {
		if err := s.before(name, cmds); err != nil {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
			return err
		}
	}
	err := next()
	if s.after != nil {
		if after := s.after(name, cmds, err); after != nil {
			for _, cmd := range cmds {
				cmd.SetErr(after)
			}
			return after
		}
	}
	return err
}
