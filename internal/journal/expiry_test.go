package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// asWritten runs a write on local, and writes its entry as the product does: with the deadline that the
// key has then.
const asWritten = `
redis.call('SELECT', '0')
local args, name, key = {}, ARGV[1], ARGV[2]
for i = 1, #ARGV do args[i] = ARGV[i] end
local reply = redis.pcall(unpack(args))
local entry
if type(reply) == 'table' and reply.err then return 0 end
if name == 'set' then
  entry = { 'set', key, ARGV[3] }
elseif name == 'pexpire' then
  if reply == 0 then return 0 end
  entry = { '!deadline', key }
elseif name == 'persist' then
  if reply == 0 then return 0 end
  entry = args
else
  entry = args
end
local deadlines = ''
if name == 'rename' then
  local at = redis.call('PEXPIRETIME', ARGV[3])
  if at > 0 then deadlines = '0.2=' .. string.format('%.0f', at) end
  if at == -2 then deadlines = '0.2=0' end
elseif name ~= 'del' and name ~= 'persist' then
  local at = redis.call('PEXPIRETIME', key)
  if at > 0 then deadlines = '0.1=' .. string.format('%.0f', at) end
  if at == -2 and (name == 'set' or name == 'pexpire') then deadlines = '0.1=0' end
end
local fields = { 'w||' .. #entry .. '|' .. deadlines }
for i = 1, #entry do fields[#fields + 1] = entry[i] end
if #fields % 2 == 1 then fields[#fields + 1] = '' end
redis.call('SELECT', '15')
return redis.call('XADD', 'fallback:test:journal', '*', unpack(fields))`

func TestKeysExpireAsOnLocal(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t)
	home := r.client(r.local, 0)
	d := r.drain()
	var lines []string
	for round := range 6 {
		for range 60 {
			k := fmt.Sprint(rnd.IntN(4), "-", round)
			var line string
			switch rnd.IntN(13) {
			case 0, 1:
				line = "incr n" + k
			case 2:
				line = fmt.Sprintf("set n%s %d px %d", k, rnd.IntN(9), 1+rnd.IntN(20))
			case 3, 4, 5:
				line = "rpush l" + k + " " + fmt.Sprint(rnd.IntN(100))
			case 6, 7:
				line = fmt.Sprintf("pexpire l%s %d", k, 1+rnd.IntN(20))
			case 8:
				line = fmt.Sprintf("pexpire n%s %d", k, 1+rnd.IntN(20))
			case 9:
				line = "persist l" + k
			case 10:
				line = "del n" + k
			case 11:
				line = fmt.Sprintf("pexpire l%s 60000", k)
			case 12:
				line = fmt.Sprintf("rename l%s l%d-%d", k, rnd.IntN(4), round)
			}
			var args []any
			for word := range strings.FieldsSeq(line) {
				args = append(args, word)
			}
			r.check(r.store.Client().Eval(r.ctx, asWritten, nil, args...).Err())
			lines = append(lines, fmt.Sprint(r.now(), " ", line))
			if rnd.IntN(3) == 0 {
				time.Sleep(time.Duration(rnd.IntN(4)) * time.Millisecond) // the keys' own time goes on
			}
			if rnd.IntN(15) == 0 {
				lines = append(lines, "drained")
				r.deliver(d)
			}
		}
		r.deliver(d)
	}
	// What is to expire has expired on both.
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		a, b := dump(t, home), dump(t, r.rdb)
		var differ []string
		for key := range a {
			if a[key] != b[key] {
				differ = append(differ, fmt.Sprintf("%s: %q on local, %q on the primary", key, a[key], b[key]))
			}
		}
		for key := range b {
			if _, ok := a[key]; !ok && !strings.HasPrefix(key, "fallback:") {
				differ = append(differ, key+" only on the primary: "+b[key])
			}
		}
		if len(differ) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("seed %d: %s\n%s", seed, strings.Join(differ, "\n"), strings.Join(lines, "\n"))
		}
	}
	r.letters(0)
}

func TestWhatADrainInPartsDeliversOutlivesItsDeadline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := func(after time.Duration) journal.Deadline {
		return journal.Deadline{Arg: 1, Ms: r.now() + after.Milliseconds()}
	}
	// All in one millisecond, however long it takes to write them.
	begin := journal.ID{Ms: uint64(r.now()) + 1}
	write := func(words string, after ...time.Duration) {
		e := &journal.Entry{ID: begin, Kind: journal.KindWrite, Commands: [][]string{strings.Fields(words)}}
		for _, d := range after {
			e.Deadlines = append(e.Deadlines, journal.Deadline{Arg: 1, Ms: int64(begin.Ms) + d.Milliseconds()})
		}
		begin.Seq++
		r.entry(e)
	}
	write("hset session user 7", 40*time.Millisecond)
	write("set other v", time.Minute)
	write("set short v", time.Millisecond)
	for i := range 60 {
		write(fmt.Sprint("incr n", i))
	}
	p, err := r.drain().Deliver(r.ctx, journal.Options{Budget: 30})
	if !errors.Is(err, journal.ErrBudget) || p.Entries == 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, key := range []string{"session", "other", "short"} {
		if left := r.rdb.PTTL(r.ctx, key).Val(); left < time.Hour {
			t.Errorf("%s has %v left after a part", key, left)
		}
	}
	// Local prolongs the session before it expires there, and writes to it long after that.
	long := at(10 * time.Minute)
	e := &journal.Entry{ID: journal.ID{Ms: r.last.Ms, Seq: r.last.Seq + 1}, Kind: journal.KindWrite}
	e.Commands, e.Deadlines = [][]string{{journal.DeadlineName, "session"}}, []journal.Deadline{long}
	r.entry(e)
	for r.now() <= int64(r.last.Ms)+50 {
		time.Sleep(time.Millisecond)
	}
	r.write("hset session seen now", long)
	r.deliver(r.drain())
	if got := fmt.Sprint(r.rdb.HGetAll(r.ctx, "session").Val()); got != "map[seen:now user:7]" {
		t.Errorf("the session is %s", got)
	}
	for key, most := range map[string]time.Duration{"session": 10 * time.Minute, "other": time.Minute} {
		if left := r.rdb.PTTL(r.ctx, key).Val(); left > most || left < most/2 {
			t.Errorf("%s has %v left at the end, want %v", key, left, most)
		}
	}
	r.wants("short", "")
	r.letters(0)
	r.settled()
}

func TestDeadlinesAreMadeGoodThoughNothingElseIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := r.now() + 60_000
	for i := range 30 {
		r.write(fmt.Sprint("set k", i, " v"), journal.Deadline{Arg: 1, Ms: at})
	}
	_, err := r.drain().Deliver(r.ctx, journal.Options{Budget: 25})
	if !errors.Is(err, journal.ErrBudget) {
		t.Fatal(err)
	}
	e, err := r.drain().Estimate(r.ctx)
	r.check(err)
	// The rest, by one that would have no part in it.
	d := r.drain()
	d.Batch.Commands = 10
	r.deliver(d)
	v, err := d.Return(r.ctx, journal.Options{})
	r.check(err)
	if v.Record.Serving != journal.Primary || e.Entries == 0 {
		t.Errorf("%+v, %+v", v.Record, e)
	}
	for i := range 30 {
		if left := r.rdb.PTTL(r.ctx, fmt.Sprint("k", i)).Val(); left <= 0 || left > time.Minute {
			t.Errorf("k%d has %v left", i, left)
		}
	}
	r.settled()
}

// A batch that is not the journal's last gives a key more time than it has. If then the position goes, and
// the batch is buried, nothing but what local remembers takes that time away again.
func TestKeysOfABuriedBatchExpireAsOnLocal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const has = 5 * time.Second
	at := r.now() + has.Milliseconds()
	r.write("set s v", journal.Deadline{Arg: 1, Ms: at})
	r.write("set t v")
	d := r.drain()
	d.Batch.Entries = 1
	lose(d.Primary, "exec", 2) // that of the first position, and that of the batch
	d.Store.Client().AddHook(&spy{before: func(string, []redis.Cmder) error {
		if r.rdb.Exists(r.ctx, "s").Val() == 1 {
			return errors.New("dead")
		}
		return nil
	}})
	if _, err := d.Deliver(r.ctx, journal.Options{}); err == nil {
		t.Fatal("it did not die")
	}
	if left := r.rdb.PTTL(r.ctx, "s").Val(); left <= has {
		t.Fatalf("it was given %v: no more than it has", left)
	}
	r.check(r.rdb.Del(r.ctx, r.store.PositionKey(r.record().ID)).Err())
	r.deliver(r.drain())
	r.wants("t", "v")
	if left := r.rdb.PTTL(r.ctx, "s").Val(); left > has || left < 0 {
		t.Errorf("it has %v left, want what it has on local", left)
	}
	if l := r.letters(1)[0]; l.Kind != journal.LetterDoubt {
		t.Errorf("the letter is %+v", l)
	}
	r.settled()
}
