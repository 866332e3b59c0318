package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

func split(name string) (db, key string) {
	db, key, _ = strings.Cut(name, "|")
	return db, key
}

// apply sends a batch, and forgets those generations of claims with it. After an error nobody knows what
// local did of it, and its keys are unsure.
func (f *flusher) apply(b *batch, drops []*generation) error {
	m := f.m
	f.seq++
	var list []byte
	for _, g := range drops {
		list = strconv.AppendInt(append(list, ' '), int64(g.slot), 10)
	}
	args := b.finish(f.text, f.id, strconv.FormatInt(f.seq, 10), strconv.FormatInt(f.acked, 10), f.self(), string(list))
	sent := micros()
	v, err := m.scripts.apply.run(context.Background(), f.conn, args)
	got := micros()
	if err != nil {
		m.counters.lost.Add(1)
		f.give(b)
		return f.broken(err)
	}
	r, _ := v.([]any)
	status := textOf(r, 0)
	jumped := f.learn(sent, got, r, 1)
	switch status {
	case "OK", "FULL":
		f.acked = f.seq
		f.done(b, r, drops)
		if jumped {
			// It was applied by what the clock is no more.
			f.lose(b)
		}
		f.stop(m.stopped.Load() || status == "FULL")
		return nil
	case "FENCED":
		m.counters.fenced.Add(1)
		f.give(b)
		m.cfg.Fenced()
		return errFencedThere
	}
	f.give(b)
	return f.disowned(status)
}

// errFencedThere is that local knows another fence. This process will hear of it.
var errFencedThere = errors.New("fenced")

// disowned sees to what local says of this process.
func (f *flusher) disowned(status string) error {
	m := f.m
	switch status {
	case "GONE":
		// It slept, and was buried: its claimed keys are deleted.
		m.cfg.Log(slog.LevelWarn, "local had given this process up; the mirror begins anew")
		f.id = ""
		m.another() // what is queued, and what has begun, is of the time before
	case "LOST":
		m.cfg.Log(slog.LevelWarn, "local has lost writes that it had acknowledged; the mirror's keys are deleted")
		m.empty.Store(true)
		f.acked = 0
	case "EMPTY":
		m.empty.Store(true)
	}
	return fmt.Errorf("local says %s", status)
}

// done counts what local did, and tells which keys it does not hold.
func (f *flusher) done(b *batch, r []any, drops []*generation) {
	m := f.m
	c := &m.counters
	c.batches.Add(1)
	c.sent.Add(int64(len(b.refs)))
	for i := range b.ended {
		b.ended[i].gen.leave(b.ended[i].lane)
	}
	for _, g := range drops {
		g.state = genFree
	}
	if len(r) < 7 {
		return
	}
	c.cold.Add(f.report(b, r[3]))
	c.deleted.Add(f.report(b, r[4]))
	c.skipped.Add(numberOf(r, 5))
	c.failed.Add(numberOf(r, 6))
}

// report tells of keys, given as the numbers of their operations, and returns how many there are.
func (f *flusher) report(b *batch, of any) int64 {
	list, _ := of.([]any)
	for _, v := range list {
		if at, _ := v.(int64); at > 0 && int(at) <= len(b.refs) {
			o := b.refs[at-1]
			// The text of the whole batch would stay with its parts.
			f.m.cfg.Cold(strings.Clone(o.db), strings.Clone(o.key))
		}
	}
	return int64(len(list))
}

// lose makes the keys of a batch unsure.
func (f *flusher) lose(b *batch) {
	for _, o := range b.refs {
		if o.flush {
			f.m.empty.Store(true)
		} else {
			f.m.loseKey(o.db, o.key)
		}
	}
	f.m.counters.dropped.Add(int64(len(b.refs)))
}

// give takes a batch back whose fate is not known.
func (f *flusher) give(b *batch) {
	f.lose(b)
	for i := range b.ended {
		b.ended[i].gen.leave(b.ended[i].lane)
	}
}

// learn takes a reply's time into what is known of local's clock.
func (f *flusher) learn(sent, got int64, r []any, at int) (jumped bool) {
	s, u := numberOf(r, at), numberOf(r, at+1)
	if s == 0 {
		return false
	}
	next, jumped := f.m.clock.Load().measured(sent, got, s*1_000_000+u)
	f.m.clock.Store(next)
	if jumped {
		f.m.cfg.Log(slog.LevelWarn, "local's clock has jumped")
	}
	return jumped
}

// broken closes a connection whose state is not known.
func (f *flusher) broken(err error) error {
	if redis.HasErrorPrefix(err, "") && !errors.Is(err, redis.Nil) {
		return err // an answer, if not a good one
	}
	f.disconnect()
	return err
}

func textOf(r []any, at int) string {
	if at >= len(r) {
		return ""
	}
	s, _ := r[at].(string)
	return s
}

func numberOf(r []any, at int) int64 {
	if at >= len(r) {
		return 0
	}
	switch v := r[at].(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}
