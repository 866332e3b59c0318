package journal_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
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
if name ~= 'del' and name ~= 'persist' then
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
			switch rnd.IntN(12) {
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
