package journal_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func TestAnEntryOfAStreamThatIsAheadGetsAnotherID(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.XAdd(r.ctx, &redis.XAddArgs{Stream: "x", ID: "99-0", Values: []string{"f", "other"}}).Err())
	r.write("xadd x 5-1 f a")
	r.write("xadd x MAXLEN ~ 100 5-2 f b")
	r.write("xadd x 100-1 f c")
	p := r.deliver(r.drain())
	if p.Renumbered != 3 || p.Dead != 0 { // the third as well, or it would come before the other two
		t.Errorf("%+v", p)
	}
	got := ""
	for _, m := range r.rdb.XRange(r.ctx, "x", "-", "+").Val() {
		got += fmt.Sprint(m.Values["f"], " ")
	}
	if got != "other a b c " {
		t.Errorf("the stream has %v", got)
	}
	r.letters(0)
	r.settled()
}

func TestAFlushKeepsThePosition(t *testing.T) {
	t.Parallel()
	for _, flush := range []string{"flushall", "flushdb", "0:flushdb async"} {
		t.Run(flush, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.check(r.rdb.Set(r.ctx, "old", 1, 0).Err())
			r.write("incr n")
			r.write(flush)
			r.write("incr n")
			r.deliver(r.drain())
			r.wants("n", "1", "old", "")
			rec := r.record()
			r.wants(r.store.PositionKey(rec.ID), r.last.String(), r.store.FingerprintKey(), rec.Primary)
			r.write("incr n")
			r.deliver(r.drain())
			r.wants("n", "2")
			r.letters(0)
			r.settled()
		})
	}
}

func TestOtherDatabases(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	r.write("3:incr n")
	r.write("3:rename n m")
	r.write("77:incr n") // there is none
	r.write("incr n")
	if p := r.deliver(r.drain()); p.Dead != 1 {
		t.Errorf("%+v", p)
	}
	r.wants("n", "2")
	if got := r.client(r.primary, 3).Get(r.ctx, "m").Val(); got != "1" {
		t.Errorf("in database 3: %q", got)
	}
	if l := r.letters(1)[0]; l.DB != "77" {
		t.Errorf("%+v", l)
	}
	r.settled()
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	now := r.now()
	key := func(ms int64) journal.Deadline { return journal.Deadline{Arg: 1, Ms: ms} }
	r.check(r.rdb.MSet(r.ctx, "passed", "old", "gone", "old").Err())
	r.write("set passed v", key(now-1000))
	r.write("set coming v", key(now+60_000))
	r.write("hset h f v", key(now+60_000))
	r.write("set gone v", key(0))
	r.write("!deadline coming", key(now+30_000))
	r.deliver(r.drain())
	r.wants("passed", "", "coming", "v", "gone", "")
	for name, most := range map[string]time.Duration{"coming": 30 * time.Second, "h": time.Minute} {
		if left := r.rdb.PTTL(r.ctx, name).Val(); left <= most-10*time.Second || left > most {
			t.Errorf("%s has %v left, want about %v", name, left, most)
		}
	}
	r.letters(0)
}

func TestAnotherPrimaryGetsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	r.deliver(r.drain())
	r.write("incr n")

	other := redistest.Start(t)
	d := r.drain()
	d.Primary = r.client(other, 0)
	d.Address = "other address"
	if _, err := d.Deliver(r.ctx, journal.Options{}); !errors.Is(err, journal.ErrOtherPrimary) {
		t.Fatalf("a primary without a fingerprint at another address: %v", err)
	}
	r.check(other.Client(t).Set(r.ctx, r.store.FingerprintKey(), "someone else's", 0).Err())
	d.Address = "address"
	if _, err := d.Deliver(r.ctx, journal.Options{}); !errors.Is(err, journal.ErrOtherPrimary) {
		t.Fatalf("a primary with another fingerprint: %v", err)
	}
	if n := other.Client(t).DBSize(r.ctx).Val(); n != 1 {
		t.Fatalf("it has %d keys", n)
	}
	d.Adopt = true
	r.deliver(d)
	if got := other.Get(t, "n"); got != "1" {
		t.Errorf("after the operator's word it has %q", got)
	}
	if rec := r.record(); rec.Primary != "someone else's" {
		t.Errorf("%+v", rec)
	}
	r.settled()
}

func TestAPrimaryThatWasFlushedIsKnownByItsAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	r.deliver(r.drain())
	r.write("incr m")
	r.check(r.rdb.FlushAll(r.ctx).Err())
	r.deliver(r.drain())
	r.wants("m", "1", r.store.FingerprintKey(), r.record().Primary)
	r.letters(0)
	r.settled()
}

func TestAPrimaryThatIsKnownAlreadyIsAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.Set(r.ctx, r.store.FingerprintKey(), "known", 0).Err())
	r.write("incr n")
	r.deliver(r.drain())
	r.wants("n", "1")
	if rec := r.record(); rec.Primary != "known" {
		t.Errorf("%+v", rec)
	}
}

func TestABudgetIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 200 {
		r.write(fmt.Sprintf("incr n%d", i))
	}
	p, err := r.drain().Deliver(r.ctx, journal.Options{Budget: 100})
	if !errors.Is(err, journal.ErrBudget) || p.Commands > 100 || p.Entries < 80 {
		t.Fatalf("%+v, %v", p, err)
	}
	e, err := r.drain().Estimate(r.ctx)
	r.check(err)
	if e.Entries != 200-p.Entries {
		t.Errorf("%+v after %+v", e, p)
	}
	q, err := r.drain().Deliver(r.ctx, journal.Options{Budget: e.Commands})
	r.check(err)
	if q.Commands != e.Commands {
		t.Errorf("estimated %+v, was %+v", e, q)
	}
	r.settled()
	if rec := r.record(); rec.Spent != p.Commands+q.Commands {
		t.Errorf("the record has %d, spent were %d and %d", rec.Spent, p.Commands, q.Commands)
	}
}

func TestATransactionIsNotSplit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	e := &journal.Entry{Kind: journal.KindTx}
	for i := range 50 {
		e.Commands = append(e.Commands, []string{"incr", fmt.Sprint("k", i)})
	}
	r.entry(e)
	r.entry(e)
	d := r.drain()
	d.Batch.Commands = 10
	if p := r.deliver(d); p.Batches != 2 {
		t.Errorf("%+v", p)
	}
	r.wants("k0", "2", "k49", "2")
}

func TestATransactionOfWhichThePositionWasRefusedIsNotRepeated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("rpush l a")
	r.deliver(r.drain())
	r.write("rpush l b")
	r.write("rpush m x")
	d := r.drain()
	refused := false
	d.Primary.AddHook(&spy{before: func(_ string, cmds []redis.Cmder) error {
		if len(cmds) > 2 && !refused {
			refused = true
			for _, i := range []int{0, 2} { // the position, and a write
				cmds[i] = redis.NewStatusCmd(r.ctx, "eval", "return redis.error_reply('ERR max requests limit exceeded')", "0")
			}
		}
		return nil
	}})
	if _, err := d.Deliver(r.ctx, journal.Options{}); !errors.Is(err, journal.ErrRefused) {
		t.Fatal(err)
	}
	if p := r.deliver(r.drain()); p.Resent != 1 || p.Again != 0 {
		t.Errorf("%+v", p)
	}
	if got := fmt.Sprint(r.rdb.LRange(r.ctx, "l", 0, -1).Val(), r.rdb.LRange(r.ctx, "m", 0, -1).Val()); got != "[a b] [x]" {
		t.Errorf("delivered %s", got)
	}
	r.letters(0)
	r.settled()
	r.write("rpush l c")
	r.deliver(r.drain())
	if got := fmt.Sprint(r.rdb.LRange(r.ctx, "l", 0, -1).Val()); got != "[a b c]" {
		t.Errorf("delivered %s", got)
	}
}

func TestARefusalOfAnyCommandOfABatch(t *testing.T) {
	t.Parallel()
	lines := []string{"rpush a 1", "3:rpush b 2", "set c 3", "rename c d", "rpush a 4", "xadd x 1-1 f v", "append c 5"}
	for _, inside := range []bool{false, true} {
		for at := range 14 {
			t.Run(fmt.Sprint(inside, at), func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				for _, line := range lines {
					r.write(line)
				}
				d := r.drain()
				hit := false
				refusal := limit("ERR max requests limit exceeded")
				d.Primary.AddHook(&spy{
					before: func(_ string, cmds []redis.Cmder) error {
						if inside && !hit && len(cmds) > 3 && at < len(cmds) && cmds[at].Name() != "select" {
							hit = true
							cmds[at] = redis.NewStatusCmd(r.ctx, "eval", "return redis.error_reply(ARGV[1])", "0", refusal.Error())
						}
						return nil
					},
					after: func(_ string, cmds []redis.Cmder, _ error) error {
						if !inside && !hit && len(cmds) > 3 && at < len(cmds) {
							hit = true
							cmds[at].SetErr(refusal)
						}
						return nil
					},
				})
				_, err := d.Deliver(r.ctx, journal.Options{})
				if hit != errors.Is(err, journal.ErrRefused) {
					t.Fatalf("hit %v: %v", hit, err)
				}
				if hit && !inside && r.rdb.Exists(r.ctx, "a", "c", "d", "x").Val() != 0 {
					t.Error("a part of it ran")
				}
				r.deliver(r.drain())
				dead, err := r.store.Letters(r.ctx, 0)
				r.check(err)
				a, b := r.rdb.LRange(r.ctx, "a", 0, -1).Val(), r.client(r.primary, 3).LRange(r.ctx, "b", 0, -1).Val()
				if len(a) != 2 || len(b) != 1 || r.rdb.XLen(r.ctx, "x").Val() != 1 {
					t.Errorf("delivered %v, %v", a, b)
				}
				// Inside, what the primary took behind what it refused came first, and a RENAME of what
				// was not there yet is an error, which is told.
				if c := r.rdb.Get(r.ctx, "c").Val(); !inside && (fmt.Sprint(a) != "[1 4]" || c != "5" || len(dead) > 0) {
					t.Errorf("delivered %v, %s; %+v", a, c, dead)
				}
				r.settled()
			})
		}
	}
}
