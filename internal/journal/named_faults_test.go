package journal_test

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// lists makes two lists whole, with other things on the primary in their place.
func (r *rig) lists() {
	r.tb.Helper()
	r.check(r.rdb.RPush(r.ctx, "a", "old").Err())
	r.check(r.rdb.SAdd(r.ctx, "b", "old").Err())
	r.past(1)
	r.runs("del a b", "rpush a 1 2", "rpush b 3")
}

func TestARefusalInTheMiddleOfACopyLeavesItToTheNextOne(t *testing.T) {
	t.Parallel()
	for at := range 4 { // the position, the removal of both, and what each is made of
		r := newRig(t)
		r.lists()
		d := r.drain()
		hit := false
		d.Primary.AddHook(&spy{before: func(_ string, cmds []redis.Cmder) error {
			if len(cmds) > 3 && !hit {
				hit = true
				cmds[at] = redis.NewStatusCmd(r.ctx, "eval", "return redis.error_reply('ERR max requests limit exceeded')", "0")
			}
			return nil
		}})
		if _, err := d.Deliver(r.ctx, journal.Options{}); !hit || !errors.Is(err, journal.ErrRefused) {
			t.Fatalf("command %d: hit %v, %v", at, hit, err)
		}
		r.runs("rpush a 4")
		r.deliver(r.drain())
		r.same()
		r.letters(0)
	}
}

func TestACopyWhoseReplyIsLostIsMadeAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.lists()
	d := r.drain()
	lost := false
	d.Primary.AddHook(&spy{before: func(_ string, cmds []redis.Cmder) error {
		if len(cmds) > 3 && !lost { // one of them fails, and nobody hears of it
			cmds[3] = redis.NewStatusCmd(r.ctx, "eval", "return redis.error_reply('OOM command not allowed')", "0")
		}
		return nil
	}, after: func(name string, _ []redis.Cmder, err error) error {
		if name == "exec" && !lost {
			lost = true
			return io.ErrUnexpectedEOF
		}
		return err
	}})
	r.deliver(d)
	if !lost {
		t.Fatal("no reply was lost")
	}
	r.same()
	r.letters(0)
}

func TestNamesInDoubtAreCopiedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.runs("incr n")
	r.deliver(r.drain())
	r.lists()
	d := r.drain()
	d.Primary.AddHook(&spy{before: func(name string, _ []redis.Cmder) error {
		if name == "exec" {
			return io.EOF
		}
		return nil
	}})
	if _, err := d.Deliver(r.ctx, journal.Options{}); err == nil {
		t.Fatal("it was delivered")
	}
	rec := r.record()
	if rec.Doubt == (journal.ID{}) {
		t.Fatal("nothing is in doubt")
	}
	r.check(r.rdb.Del(r.ctx, r.store.PositionKey(rec.ID)).Err())
	r.runs("rpush b 4")
	r.deliver(r.drain())
	r.same()
	r.letters(0)
}

func TestARolledBackPrimaryGetsNamesAgainUntilTheJournalIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.runs("incr n")
	r.deliver(r.drain())
	position := r.store.PositionKey(r.record().ID)
	old := r.rdb.Get(r.ctx, position).Val()
	back := func() {
		r.check(r.rdb.Set(r.ctx, position, old, 0).Err())
		r.check(r.rdb.Del(r.ctx, "a", "b").Err())
	}
	r.lists()
	r.deliver(r.drain())
	r.runs("rpush a 4")
	back()
	r.deliver(r.drain())
	r.same()
	r.letters(0)

	v, err := r.drain().Return(r.ctx, journal.Options{})
	r.check(err)
	if v.Record.Serving != journal.Primary || v.Record.Limits != "" {
		t.Fatalf("%+v", v.Record)
	}
	r.check(r.rdb.RPush(r.ctx, "a", "by the primary").Err())
	_, _, err = r.store.Change(r.ctx, v.Record, journal.Change{What: journal.Trip})
	r.check(err)
	r.runs("rpush a 5")
	if n := r.store.Client().Exists(r.ctx, "fallback:test:names").Val(); n != 0 {
		t.Error("the names of a journal that is over are there")
	}
	back()
	if _, err := r.drain().Deliver(r.ctx, journal.Options{}); err != nil {
		t.Fatal(err)
	}
	// What local has of the key now holds what is in the journal as well.
	if got := strings.Join(r.rdb.LRange(r.ctx, "a", 0, -1).Val(), " "); got != "5" {
		t.Errorf("a has %q", got)
	}
	all, err := r.store.Letters(r.ctx, 0)
	r.check(err)
	lost := 0
	for _, l := range all {
		if l.Args[0] != journal.NameName {
			t.Errorf("%+v", l)
		}
		lost++
	}
	if lost == 0 {
		t.Error("what the primary has lost is no dead letter")
	}
}

func TestADeadlineOfBeforeItsNameDoesNotTakeAKeyAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.runs("set k old")
	r.runs("pexpire k 1")
	r.past(1)
	r.runs("del k", "set k new")
	for i := range 20 {
		r.runs("incr n" + strconv.Itoa(i))
	}
	d := r.drain()
	d.Batch.Entries = 5
	execs := 0
	d.Primary.AddHook(&spy{after: func(name string, _ []redis.Cmder, err error) error {
		if name != "exec" {
			return err
		}
		if execs++; execs == 1 { // the position alone
			return err
		}
		if got := r.rdb.Get(r.ctx, "k").Val(); got != "new" {
			t.Errorf("after EXEC %d the key is %q", execs, got)
		}
		if execs == 2 { // nobody hears with how much time the key was delivered
			return io.ErrUnexpectedEOF
		}
		return err
	}})
	r.deliver(d)
	if execs < 6 {
		t.Errorf("%d transactions", execs)
	}
	r.same()
	r.letters(0)
}
