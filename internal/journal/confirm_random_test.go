package journal_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// doWords sends a command given as words.
func doWords(r *rig, rdb *redis.Client, line string) error {
	var args []any
	for word := range strings.FieldsSeq(line) {
		args = append(args, word)
	}
	return rdb.Do(r.ctx, args...).Err()
}

// TestWhatIsFoundOutIsWhatTheRepliesWouldHaveTold delivers the same journals to two primaries that have the
// same keys, often of other types than local: with one the replies are seen.
func TestWhatIsFoundOutIsWhatTheRepliesWouldHaveTold(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	seen, lost := newRig(t), newRig(t)
	scratch := seen.local.Client(t)
	for _, r := range []*rig{seen, lost} {
		r.write("set begun 1")
		r.deliver(r.drain())
	}
	states := []string{"", "set %s text", "set %s 5", "set %s 1.5", "rpush %s a b", "sadd %s a", "zadd %s 1 a", "hset %s f 1 g text", "xadd %s 1-1 f v"}
	writes := []string{
		"rpush %s a", "rpush %s b c", "lpush %s a", "lrem %s 1 a", "sadd %s a", "sadd %s b", "srem %s a", "zadd %s 2 b", "zrem %s a",
		"hset %s f 2", "hset %s g 3", "hincrby %s f 1", "hincrby %s g 1", "hdel %s f", "incr %s", "incr %s", "decrby %s 2", "incrbyfloat %s 1.5",
		"append %s 1", "setrange %s 1 x", "set %s 7", "set %s other", "del %s", "pfadd %s a", "xadd %s 5-1 f v", "xadd %s 6-1 f v",
		"rename %s %s", "copy %s %s replace", "sunionstore %s %s %s", "smove %s %s a", "zunionstore %s 2 %s %s",
	}
	overwrites := map[string]bool{"set": true, "del": true, "rename": true, "copy": true, "sunionstore": true, "zunionstore": true, "hset": true, "hdel": true}
	doubts, errs := 0, 0
	for round := range 150 {
		keys := make([]string, 5)
		for i := range keys {
			keys[i] = fmt.Sprint("r", round, "k", i)
			for j, rdb := range []*redis.Client{scratch, seen.rdb} {
				s := states[rnd.IntN(len(states))]
				if s == "" {
					continue
				}
				s = fmt.Sprintf(s, keys[i])
				seen.check(doWords(seen, rdb, s))
				if j == 1 {
					lost.check(doWords(lost, lost.rdb, s))
				}
			}
		}
		var lines []string
		moot := map[string]bool{}
		for len(lines) < 12 {
			s := writes[rnd.IntN(len(writes))]
			for strings.Contains(s, "%s") {
				s = strings.Replace(s, "%s", keys[rnd.IntN(len(keys))], 1)
			}
			if doWords(seen, scratch, s) != nil {
				continue
			}
			words := strings.Fields(s)
			if overwrites[words[0]] {
				for _, word := range words[1:] {
					moot[word] = true
				}
			}
			lines = append(lines, s)
			seen.write(s)
			lost.write(s)
		}
		seen.deliver(seen.drain())
		d := lost.drain()
		lose(d.Primary, "exec", 1)
		if p := lost.deliver(d); p.Unconfirmed != 12 {
			t.Fatalf("seed %d: %+v", seed, p)
		}
		told := func(r *rig) map[string]string {
			all, err := r.store.Letters(r.ctx, 0)
			r.check(err)
			m := map[string]string{}
			for _, l := range all {
				if m[l.Args[1]] != journal.LetterError {
					m[l.Args[1]] = l.Kind
				}
				r.check(r.store.Drop(r.ctx, l.ID))
			}
			return m
		}
		want, got := told(seen), told(lost)
		for key := range want {
			if got[key] == "" && !moot[key] {
				t.Errorf("seed %d: %s failed, and nothing tells\n%s", seed, key, strings.Join(lines, "\n"))
			}
		}
		for key, kind := range got {
			if kind == journal.LetterError {
				errs++
				if want[key] == "" {
					t.Errorf("seed %d: %s has not failed\n%s", seed, key, strings.Join(lines, "\n"))
				}
			} else if want[key] == "" {
				doubts++
			}
		}
	}
	t.Logf("%d keys have failed, and %d were in doubt for nothing", errs, doubts)
}
