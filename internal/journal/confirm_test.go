package journal_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// loseBatch makes a client lose the reply of the EXEC of its first batch, which ran. Before it is sent,
// meanwhile is done.
func loseBatch(rdb *redis.Client, meanwhile func()) {
	seen := 0
	rdb.AddHook(&spy{
		before: func(name string, _ []redis.Cmder) error {
			if name == "exec" && seen == 1 && meanwhile != nil { // the first one only sets the position
				meanwhile()
			}
			return nil
		},
		after: func(name string, _ []redis.Cmder, _ error) error {
			if name == "exec" {
				if seen++; seen == 2 {
					return io.EOF
				}
			}
			return nil
		},
	})
}

// told returns the letters as "kind: command", one a line.
func (r *rig) told() string {
	r.tb.Helper()
	all, err := r.store.Letters(r.ctx, 0)
	r.check(err)
	lines := make([]string, len(all))
	for i, l := range all {
		lines[i] = l.Kind + ": " + strings.Join(l.Args, " ")
		if l.Doubt != (l.Kind == journal.LetterDoubt) || l.Error == "" {
			r.tb.Errorf("%+v", l)
		}
	}
	return strings.Join(lines, "\n")
}

func TestWhatFailedIsFoundOutAfterwards(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		primary, journal []string
		letters          string
		values           []string
	}{
		"nothing": {
			primary: []string{"rpush l 0", "set n 1", "hset h f 1", "zadd z 1 a"},
			journal: []string{
				"rpush l 1", "incr n", "hincrby h f 2", "hset g f v", "sadd s m", "zadd z 2 b", "incrbyfloat fl 1.5", "set k v",
				"append k w", "lrem l 1 0", "srem s m", "xadd x 1-1 f v", "xadd x 1-2 f v", "del g", "copy l l2", "pfadd p a",
				"xgroup create x grp 0", "xgroup createconsumer x grp c", "zunionstore u 1 z", "setrange r 2 x", "setbit b 7 1",
				"set m 1", "rename m m2", "3:rpush l 1", "hset h2 n 1", "hincrby h2 n 1", "mset a 1 b2 2",
			},
			values: []string{"n", "2", "k", "vw", "m2", "1"},
		},
		"types": {
			primary: []string{"set l text", "rpush h 1", "set n text", "hset f n text", "hset x f v", "set p text"},
			journal: []string{"rpush l 1", "rpush l 2", "hset h f v", "incr n", "incrby n 4", "hincrby f n 1", "hincrby f m 1", "xadd x 1-1 f v", "pfadd p a", "rpush ok 1"},
			letters: "error: rpush l 1\nerror: rpush l 2\nerror: hset h f v\nerror: incr n\nerror: incrby n 4\nerror: hincrby f n 1\nerror: xadd x 1-1 f v\nerror: pfadd p a",
			values:  []string{"l", "text"},
		},
		"float": {
			primary: []string{"set n 1.5", "set m text", "hset h f 1.5 g text"},
			journal: []string{"incr n", "incrbyfloat m 1", "hincrbyfloat h f 1", "hincrbyfloat h g 1"},
			letters: "error: incr n\nerror: incrbyfloat m 1\nerror: hincrbyfloat h g 1",
		},
		"mixed": {
			primary: []string{"set l text", "set m text", "set n text", "hset g f text", "rpush d 1"},
			journal: []string{"rpush l 1", "del l", "rpush l 2", "rpush m 1", "set m v", "append m w", "set n 5", "incr n", "hset g f 1", "hincrby g f 1", "del d", "sadd d m"},
			values:  []string{"m", "vw", "n", "6"},
		},
		"flushed": {
			primary: []string{"set l text", "set m text"},
			journal: []string{"rpush l 1", "flushdb", "rpush l 2", "rpush m 2"},
		},
		"sources": {
			primary: []string{"set a text", "set c text", "sadd b m"},
			journal: []string{"sunionstore d a b", "rpush c 1", "rename c e", "set c v", "smove b a m", "zunionstore u 1 b"},
			letters: "error: sunionstore d a b\ndoubt: rpush c 1\nerror: smove b a m",
			values:  []string{"c", "v", "e", "text"},
		},
		"renamed": {
			primary: []string{"set there v"},
			journal: []string{"rename absent to", "rename there b", "set c v", "rename c d"},
			letters: "error: rename absent to\ndoubt: rename there b",
		},
		"scripts": {
			journal: []string{"eval return(1) 1 k", "set a 1"},
			letters: "doubt: eval return(1) 1 k",
		},
		"changed": {
			primary: []string{"set n 1.5", "set gone v"},
			journal: []string{"incr n", "append n 5"},
			letters: "doubt: incr n",
		},
		"groups": {
			primary: []string{"xadd x 1-1 f v", "xgroup create x there 0"},
			journal: []string{"xgroup createconsumer x absent c", "xgroup createconsumer x there c", "xgroup create x there 0"},
			letters: "error: xgroup createconsumer x absent c",
		},
		"databases": {
			primary: []string{"set l text"},
			journal: []string{"77:set a 1", "3:rpush l 1", "0:rpush l 2"},
			letters: "error: set a 1\nerror: rpush l 2",
		},
		"emptied": {
			journal: []string{"rpush l 1", "zadd z 1 a", "zrem z a"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			for _, line := range test.primary {
				var args []any
				for word := range strings.FieldsSeq(line) {
					args = append(args, word)
				}
				r.check(r.rdb.Do(r.ctx, args...).Err())
			}
			for _, line := range test.journal {
				r.write(line)
			}
			d := r.drain()
			loseBatch(d.Primary, nil)
			if p := r.deliver(d); p.Unconfirmed == 0 || p.Batches != 0 {
				t.Errorf("%+v", p)
			}
			if got := r.told(); got != test.letters {
				t.Errorf("the letters are\n%s\nwant\n%s", got, test.letters)
			}
			r.wants(test.values...)
			r.settled()
		})
	}
}

func TestAStreamsEntryThatWasRefusedIsFoundOutAfterwards(t *testing.T) {
	t.Parallel()
	values := func(r *rig) string {
		got := ""
		for _, m := range r.rdb.XRange(r.ctx, "x", "-", "+").Val() {
			got += fmt.Sprint(m.Values["f"], " ")
		}
		return got
	}
	lines := []string{"xadd x 5-1 f a", "xadd x maxlen 9 5-2 f b", "xadd y 5-1 f c"}
	t.Run("ahead", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.check(r.rdb.XAdd(r.ctx, &redis.XAddArgs{Stream: "x", ID: "99-0", Values: []string{"f", "other"}}).Err())
		for _, line := range lines {
			r.write(line)
		}
		d := r.drain()
		loseBatch(d.Primary, nil)
		r.deliver(d)
		if got := values(r); got != "other a b " {
			t.Errorf("the stream has %s", got)
		}
		r.letters(0)
		r.settled()
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.check(r.rdb.XAdd(r.ctx, &redis.XAddArgs{Stream: "x", ID: "1-0", Values: []string{"f", "before"}}).Err())
		for _, line := range lines {
			r.write(line)
		}
		d := r.drain()
		loseBatch(d.Primary, func() { // another program's, just before EXEC
			r.check(r.rdb.XAdd(r.ctx, &redis.XAddArgs{Stream: "x", ID: "99-0", Values: []string{"f", "other"}}).Err())
		})
		if p := r.deliver(d); p.Renumbered != 2 || p.Resent != 2 {
			t.Errorf("%+v", p)
		}
		if got := values(r); got != "before other a b " {
			t.Errorf("the stream has %s", got)
		}
		r.letters(0)
		r.settled()
	})
	t.Run("crowded", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.write("xadd x 5-1 f a")
		d := r.drain()
		loseBatch(d.Primary, func() {
			for i := range 300 {
				r.check(r.rdb.XAdd(r.ctx, &redis.XAddArgs{Stream: "x", ID: fmt.Sprint(100+i, "-0"), Values: []string{"f", "other"}}).Err())
			}
		})
		r.deliver(d)
		if got := r.told(); got != "doubt: xadd x 5-1 f a" {
			t.Errorf("the letters are %s", got)
		}
	})
}

func TestADrainThatDiesAfterFindingOutIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.Set(r.ctx, "l", "text", 0).Err())
	for i := range 1200 {
		r.write(fmt.Sprint("rpush l ", i))
		r.write("incr n")
	}
	d := r.drain()
	loseBatch(d.Primary, nil)
	boom := errors.New("dead")
	asked, settled := false, 0
	d.Primary.AddHook(&spy{after: func(name string, _ []redis.Cmder, _ error) error {
		asked = asked || name == "type"
		return nil
	}})
	d.Store.Client().AddHook(&spy{before: func(name string, _ []redis.Cmder) error {
		if name == "evalsha" && asked {
			if settled++; settled >= 2 { // some of the letters are there
				return boom
			}
		}
		return nil
	}})
	if _, err := d.Deliver(r.ctx, journal.Options{}); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	r.deliver(r.drain())
	r.wants("l", "text", "n", "1200")
	for i, l := range r.letters(1200) {
		if l.Kind != journal.LetterError || l.Args[2] != fmt.Sprint(i) {
			t.Fatalf("%d: %+v", i, l)
		}
	}
	r.settled()
}

func TestALetterThatFailsAgainIsFoundOutAfterwards(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.Set(r.ctx, "l", "text", 0).Err())
	r.write("rpush l 1")
	r.deliver(r.drain())
	id := r.letters(1)[0].ID
	d := r.drain()
	lose(d.Primary, "exec", 1)
	if err := d.Retry(r.ctx, id); err == nil || errors.Is(err, journal.ErrNoLetter) {
		t.Errorf("it was sent again: %v", err)
	}
	if l := r.letters(1)[0]; l.Kind != journal.LetterError || l.Tries != 1 {
		t.Errorf("%+v", l)
	}
	r.check(r.rdb.Del(r.ctx, "l").Err())
	d = r.drain()
	lose(d.Primary, "exec", 1)
	r.check(d.Retry(r.ctx, id))
	r.letters(0)
	if n := r.rdb.LLen(r.ctx, "l").Val(); n != 1 {
		t.Errorf("it was delivered %d times", n)
	}
}

func TestAGroupThatIsThereIsNoDeadLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.check(r.rdb.XGroupCreateMkStream(r.ctx, "x", "g", "$").Err())
	r.write("xgroup create x g 0")
	r.deliver(r.drain())
	r.letters(0)
	r.settled()
}
