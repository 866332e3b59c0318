package journal_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// refuseInside makes the next transaction run an error in place of the nth command of a batch.
func refuseInside(rdb *redis.Client, at int, text string) {
	done := false
	rdb.AddHook(&spy{before: func(_ string, cmds []redis.Cmder) error {
		// The first batch of a journal comes after a transaction of the position alone.
		if done || len(cmds) < 3 {
			return nil
		}
		done = true
		if at < len(cmds) {
			cmds[at] = redis.NewStatusCmd(context.Background(), "eval", "return redis.error_reply(ARGV[1])", "0", text)
		}
		return nil
	}})
}

func TestWhatThePrimaryRejectsBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.Set(r.ctx, "l", "no list", 0).Err())
	r.write("incr n")
	at := r.write("rpush l a \xff")
	r.write("rpush l b")
	r.write("incr n")
	if p := r.deliver(r.drain()); p.Dead != 1 {
		t.Errorf("%+v", p)
	}
	r.wants("n", "2", "l", "no list")
	r.settled()
	l := r.letters(1)[0]
	if l.Kind != journal.LetterError || l.Doubt || l.Entry != at || l.Folded != 2 || fmt.Sprintf("%q", l.Args) != `["rpush" "l" "a" "\xff" "b"]` {
		t.Errorf("%+v", l)
	}
	if err := r.drain().Retry(r.ctx, l.ID); err == nil {
		t.Error("a retry that failed again says nothing")
	}
	r.letters(1)
	r.check(r.rdb.Del(r.ctx, "l").Err())
	r.check(r.drain().Retry(r.ctx, l.ID))
	if got := fmt.Sprintf("%q", r.rdb.LRange(r.ctx, "l", 0, -1).Val()); got != `["a" "\xff" "b"]` {
		t.Errorf("after the retry: %s", got)
	}
	r.letters(0)
	if err := r.drain().Retry(r.ctx, l.ID); !errors.Is(err, journal.ErrNoLetter) {
		t.Errorf("a second retry: %v", err)
	}
}

func TestARetryWhoseReplyIsLostIsNotRepeated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.Set(r.ctx, "l", "no list", 0).Err())
	r.write("rpush l a")
	r.write("rpush m a")
	r.deliver(r.drain())
	l := r.letters(1)[0]
	r.check(r.rdb.Del(r.ctx, "l").Err())
	d := r.drain()
	lose(d.Primary, "exec", 1)
	r.check(d.Retry(r.ctx, l.ID))
	if got := r.rdb.LLen(r.ctx, "l").Val(); got != 1 {
		t.Errorf("the retry ran %d times", got)
	}
	r.letters(0)
	r.write("rpush m b")
	r.deliver(r.drain())
	if got := r.rdb.LLen(r.ctx, "m").Val(); got != 2 {
		t.Errorf("%d in the other list", got)
	}
}

func TestALetterIsDropped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.Set(r.ctx, "l", "no list", 0).Err())
	r.write("rpush l a")
	r.deliver(r.drain())
	id := r.letters(1)[0].ID
	r.check(r.store.Drop(r.ctx, id))
	r.letters(0)
	if err := r.store.Drop(r.ctx, id); !errors.Is(err, journal.ErrNoLetter) {
		t.Errorf("dropped twice: %v", err)
	}
}

func TestACommandThatIsNotQueuedIsTakenOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	r.write("no.such command")
	r.write("incr n")
	r.write("incr a b c d") // no write that local took, but who knows what will be written
	r.write("rpush l a")
	if p := r.deliver(r.drain()); p.Dead != 2 || p.Batches != 1 {
		t.Errorf("%+v", p)
	}
	r.wants("n", "2")
	r.letters(2)
	r.settled()
}

func TestOfMergedCommandsOnlyTheOneThatIsDeniedIsTakenOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.Do(r.ctx, "acl", "setuser", "default", "resetkeys", "~fallback:*", "~a*").Err())
	r.write("set a1 1")
	r.write("set b 2")
	r.write("set a2 3")
	r.write("del a3 c")
	if p := r.deliver(r.drain()); p.Dead != 2 {
		t.Errorf("%+v", p)
	}
	r.check(r.rdb.Do(r.ctx, "acl", "setuser", "default", "allkeys").Err())
	r.wants("a1", "1", "a2", "3", "b", "")
	for i, want := range []string{"[set b 2]", "[unlink c]"} {
		if got := fmt.Sprint(r.letters(2)[i].Args); got != want {
			t.Errorf("letter %d is %s, want %s", i, got, want)
		}
	}
	r.settled()
}

func TestTheSecondSendingOfARefusedLetterIsNotRepeated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("rpush l a")
	r.write("rpush m a")
	d := r.drain()
	refuseInside(d.Primary, 1, "ERR max requests limit exceeded")
	_, err := d.Deliver(r.ctx, journal.Options{})
	if !errors.Is(err, journal.ErrRefused) {
		t.Fatal(err)
	}
	d = r.drain()
	lose(d.Primary, "exec", 1)
	r.write("rpush l b")
	r.deliver(d)
	if got := fmt.Sprint(r.rdb.LRange(r.ctx, "l", 0, -1).Val()); got != "[a b]" {
		t.Errorf("delivered %s", got)
	}
	r.letters(0)
	r.settled()
}

func TestAMergedCommandThatFailsInsideOfExecIsSentOneByOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("set a 1")
	r.write("set b 2")
	d := r.drain()
	refuseInside(d.Primary, 1, "ERR max single record size exceeded")
	r.deliver(d)
	r.wants("a", "1", "b", "2")
	r.letters(0)
	r.settled()
}

func TestWhatIsRefusedInsideOfExecIsSentAgainFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("rpush l a")
	r.write("lpop l") // keeps the next one from being folded
	r.write("rpush l b")
	r.write("rpush m x")
	d := r.drain()
	refuseInside(d.Primary, 3, "ERR max requests limit exceeded")
	p, err := d.Deliver(r.ctx, journal.Options{})
	if !errors.Is(err, journal.ErrRefused) || p.Dead != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	r.letters(1)
	r.write("rpush l c")
	if p := r.deliver(r.drain()); p.Resent != 1 {
		t.Errorf("%+v", p)
	}
	if got := fmt.Sprint(r.rdb.LRange(r.ctx, "l", 0, -1).Val(), r.rdb.LRange(r.ctx, "m", 0, -1).Val()); got != "[b c] [x]" {
		t.Errorf("delivered %s", got)
	}
	r.letters(0)
	r.settled()
}

func TestAnEntryThatCannotBeReadIsKeptAsALetter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("incr n")
	got, err := r.store.Client().XAdd(r.ctx, &redis.XAddArgs{Stream: "fallback:test:journal", Values: []string{"what", "is this"}}).Result()
	r.check(err)
	r.last = journal.ParseID(got)
	r.deliver(r.drain())
	r.wants("n", "1")
	if l := r.letters(1)[0]; l.Entry != r.last || fmt.Sprint(l.Args) != "[what is this]" {
		t.Errorf("%+v", l)
	}
	r.settled()
}
