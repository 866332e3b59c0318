package check_test

import (
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/crash/check"
	"github.com/redis-fallback/fallback/internal/crash/history"
)

// past is a made-up run: what one goroutine did, and what the primary has in the end.
type past struct {
	ops   []*history.Op
	final check.Final
}

// write adds an operation that the primary has acknowledged, and returns it to be changed.
func (p *past) write(kind history.Kind, key string) *history.Op {
	n := len(p.ops) + 1
	o := &history.Op{
		By: "w1g0", Seq: n, Group: n, Batch: history.Alone, Kind: kind, Key: key, Value: history.Value("w1g0", n),
		Begin: int64(10 * n), End: int64(10*n + 5), State: history.Acked, Server: history.Primary, Epoch: 1,
	}
	p.ops = append(p.ops, o)
	return o
}

func (p *past) last() *history.Op { return p.ops[len(p.ops)-1] }

// good is a run with one of everything, and no violation.
func good() *past {
	p := &past{final: check.Final{
		At: 100_000, Strings: map[string]string{}, Lists: map[string][]string{}, Sets: map[string]map[string]bool{},
		Hashes: map[string]map[string]string{}, Streams: map[string][]check.Message{}, Expires: map[string]int64{}, Slack: 3000,
	}}
	f := &p.final
	for range 2 {
		o := p.write(history.Incr, "counter:0")
		o.Value, o.N = "", 2
	}
	f.Strings["counter:0"] = "4"
	f.Sets["set:0"] = map[string]bool{p.write(history.Add, "set:0").Value: true, p.write(history.Add, "set:0").Value: true}
	f.Lists["list:0"] = []string{p.write(history.Push, "list:0").Value, p.write(history.Push, "list:0").Value}
	for range 2 {
		v := p.write(history.Entry, "stream:0").Value
		f.Streams["stream:0"] = append(f.Streams["stream:0"], check.Message{ID: v, Value: v})
	}
	v := p.write(history.Field, "hash:0").Value
	f.Hashes["hash:0"] = map[string]string{v: v}

	f.Lists["queue:0"] = []string{p.write(history.Enqueue, "queue:0").Value}
	taken := p.write(history.Enqueue, "queue:0").Value
	pop := p.write(history.Pop, "queue:0")
	pop.Value, pop.Reply = "", taken

	for range 2 {
		p.write(history.Register, "own:seq:w1g0").Value = ""
	}
	f.Strings["own:seq:w1g0"] = itoa(p.last().Seq)
	for range 2 {
		p.write(history.Version, "own:ver:w1g0").Value = ""
	}
	f.Hashes["own:ver:w1g0"] = map[string]string{"v": itoa(p.last().Seq)}

	first := p.write(history.Swap, "swap:0")
	second := p.write(history.Swap, "swap:0")
	second.Reply = first.Value
	f.Strings["swap:0"] = second.Value
	f.Sets[history.SwapsDone] = map[string]bool{first.Value: true, second.Value: true}

	long := p.write(history.Expiring, "expiring:long")
	long.N = 3_600_000
	f.Strings[long.Key], f.Expires[long.Key] = long.Value, long.Begin+long.N
	p.write(history.Expiring, "expiring:short").N = 2000
	s, touch := p.write(history.Session, "session:long"), p.write(history.Touch, "session:long")
	s.N = 3_600_000
	f.Hashes[s.Key], f.Expires[s.Key] = map[string]string{s.Value: "1", touch.Value: "1"}, s.Begin+s.N
	p.write(history.Session, "session:short").N = 3000
	p.write(history.Touch, "session:short")

	for range 2 {
		p.write(history.Add, "set:1")
		p.last().Batch, p.last().Group = history.Transaction, 1000
	}
	f.Sets["set:1"] = map[string]bool{p.ops[len(p.ops)-2].Value: true, p.last().Value: true}

	clash := p.write(history.Clash, history.ClashKey)
	f.Letters = []check.Letter{{ID: "1-0", Payload: `["RPUSH","clash","` + clash.Value + `"] WRONGTYPE`}}
	return p
}

func itoa(n int) string { return strings.Trim(strings.TrimPrefix(history.Value("", n), "n"), ";") }

func (p *past) find(kind history.Kind, nth int) *history.Op {
	for _, o := range p.ops {
		if o.Kind == kind {
			if nth == 0 {
				return o
			}
			nth--
		}
	}
	panic("no such operation")
}

func TestAGoodRunHasNoViolation(t *testing.T) {
	t.Parallel()
	r := check.History(good().ops, &good().final)
	for _, v := range r.Violations {
		t.Error(v)
	}
	if r.Acked != len(good().ops) || r.Unsure != 0 || r.Dead != 1 || r.Letters["a list on local, a string on the primary"] != 1 {
		t.Errorf("%+v", r)
	}
}

func TestEachViolationIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		law    check.Law
		change func(*past)
	}{
		"an increment is missing":     {check.Missing, func(p *past) { p.final.Strings["counter:0"] = "3" }},
		"an increment is there twice": {check.Doubled, func(p *past) { p.final.Strings["counter:0"] = "6" }},
		"a counter is gone":           {check.Missing, func(p *past) { delete(p.final.Strings, "counter:0") }},
		"a member is missing":         {check.Missing, func(p *past) { delete(p.final.Sets["set:0"], p.find(history.Add, 0).Value) }},
		"a member was added before":   {check.Doubled, func(p *past) { p.find(history.Add, 0).Reply = "0" }},
		"a member nobody added":       {check.Foreign, func(p *past) { p.final.Sets["set:0"]["w9g9n9;"] = true }},
		"a member of another set":     {check.Foreign, func(p *past) { p.final.Sets["set:9"] = map[string]bool{p.find(history.Add, 0).Value: true} }},
		"a refused write has run":     {check.Doubled, func(p *past) { p.find(history.Add, 0).State = history.Refused }},
		"a value is missing":          {check.Missing, func(p *past) { p.final.Lists["list:0"] = p.final.Lists["list:0"][1:] }},
		"a value is there twice": {check.Doubled, func(p *past) {
			p.final.Lists["list:0"] = append(p.final.Lists["list:0"], p.find(history.Push, 1).Value)
		}},
		"two values are swapped": {check.Disordered, func(p *past) {
			l := p.final.Lists["list:0"]
			l[0], l[1] = l[1], l[0]
		}},
		"a value lost on the primary comes after one of local": {check.Disordered, func(p *past) {
			l := p.final.Lists["list:0"]
			l[0], l[1] = l[1], l[0]
			p.find(history.Push, 0).State, p.find(history.Push, 1).Server = history.Failed, history.Local
		}},
		"two values of one process are swapped": {check.Disordered, func(p *past) {
			l := p.final.Lists["list:0"]
			l[0], l[1] = l[1], l[0]
			p.find(history.Push, 1).By = "w1g1"
		}},
		"two messages are swapped": {check.Disordered, func(p *past) {
			s := p.final.Streams["stream:0"]
			s[0], s[1] = s[1], s[0]
		}},
		"a message is missing": {check.Missing, func(p *past) { p.final.Streams["stream:0"] = p.final.Streams["stream:0"][:1] }},
		"a message is there twice": {check.Doubled, func(p *past) {
			p.final.Streams["stream:0"] = append(p.final.Streams["stream:0"], p.final.Streams["stream:0"][1])
		}},
		"a field is missing": {check.Missing, func(p *past) { delete(p.final.Hashes, "hash:0") }},
		"a field has another's content": {check.Foreign, func(p *past) {
			p.final.Hashes["hash:0"][p.find(history.Field, 0).Value] = "x"
		}},
		"a queued value is gone": {check.Missing, func(p *past) { delete(p.final.Lists, "queue:0") }},
		"a popped value is back": {check.Doubled, func(p *past) {
			p.final.Lists["queue:0"] = append(p.final.Lists["queue:0"], p.find(history.Enqueue, 1).Value)
		}},
		"a value is popped twice": {check.Doubled, func(p *past) {
			o := p.write(history.Pop, "queue:0")
			o.Value, o.Reply = "", p.find(history.Enqueue, 1).Value
		}},
		"a value nobody queued is popped": {check.Foreign, func(p *past) { p.find(history.Pop, 0).Reply = "w9g9n9;" }},
		"an older SET has won":            {check.Disordered, func(p *past) { p.final.Strings["own:seq:w1g0"] = itoa(p.find(history.Register, 0).Seq) }},
		"a SET is missing":                {check.Missing, func(p *past) { delete(p.final.Strings, "own:seq:w1g0") }},
		"a SET nobody did":                {check.Foreign, func(p *past) { p.final.Strings["own:seq:w1g0"] = "999" }},
		"an older version has won": {check.Disordered, func(p *past) {
			p.final.Hashes["own:ver:w1g0"]["v"] = itoa(p.find(history.Version, 0).Seq)
		}},
		"two have replaced one value": {check.Doubled, func(p *past) { p.find(history.Swap, 1).Reply = "" }},
		"a replaced value is back":    {check.Doubled, func(p *past) { p.final.Strings["swap:0"] = p.find(history.Swap, 0).Value }},
		"a swap is missing": {check.Missing, func(p *past) {
			delete(p.final.Sets[history.SwapsDone], p.find(history.Swap, 1).Value)
		}},
		"a key has lost its expiry":    {check.Expiry, func(p *past) { delete(p.final.Expires, "expiring:long") }},
		"a key expires much too late":  {check.Expiry, func(p *past) { p.final.Expires["expiring:long"] += 5000 }},
		"a key expires much too early": {check.Expiry, func(p *past) { p.final.Expires["expiring:long"] -= 5000 }},
		"a key outlives its expiry": {check.Expiry, func(p *past) {
			p.final.Strings["expiring:short"], p.final.Expires["expiring:short"] = p.find(history.Expiring, 1).Value, 200_000
		}},
		"a key is gone before its expiry": {check.Missing, func(p *past) { delete(p.final.Strings, "expiring:long") }},
		"a session never ends": {check.Expiry, func(p *past) {
			p.final.Hashes["session:short"] = map[string]string{p.find(history.Touch, 1).Value: "1"}
		}},
		"a field of a session is missing": {check.Missing, func(p *past) { delete(p.final.Hashes["session:long"], p.find(history.Touch, 0).Value) }},
		"half a transaction is there": {check.Torn, func(p *past) {
			delete(p.final.Sets["set:1"], p.last2().Value)
			p.last2().State = history.Failed
		}},
		"a dead letter is missing": {check.Missing, func(p *past) { p.final.Letters = nil }},
		"a dead letter is there twice": {check.Doubled, func(p *past) {
			p.final.Letters = append(p.final.Letters, check.Letter{ID: "2-0", Payload: p.final.Letters[0].Payload})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := good()
			c.change(p)
			r := check.History(p.ops, &p.final)
			if r.Count(c.law) == 0 {
				t.Errorf("want %q, found %v", c.law, r.Violations)
			}
		})
	}
}

func (p *past) last2() *history.Op { return p.ops[len(p.ops)-2] }

func TestWhatMayBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*past)
		count  func(*check.Report) int
	}{
		"a failed write that has run": {func(p *past) { p.find(history.Add, 0).State = history.Failed }, nil},
		"a failed write that has not": {func(p *past) {
			p.find(history.Add, 0).State = history.Failed
			delete(p.final.Sets["set:0"], p.find(history.Add, 0).Value)
		}, nil},
		"an increment whose process was killed": {func(p *past) {
			p.find(history.Incr, 0).State = history.Open
			p.final.Strings["counter:0"] = "2"
		}, nil},
		"a later SET that failed has won": {func(p *past) { p.find(history.Register, 1).State = history.Failed }, nil},
		"a write that is in a dead letter alone": {func(p *past) {
			delete(p.final.Sets["set:0"], p.find(history.Add, 0).Value)
			p.final.Letters = append(p.final.Letters, check.Letter{ID: "3-0", Payload: "sadd\x07" + p.find(history.Add, 0).Value + "in doubt"})
		}, func(r *check.Report) int { return r.Dead - 1 }},
		"a lost value that comes late on its own server": {func(p *past) {
			l := p.final.Lists["list:0"]
			l[0], l[1] = l[1], l[0]
			p.find(history.Push, 0).State = history.Failed
		}, func(r *check.Report) int { return r.Late }},
		"a value before an earlier one of another process": {func(p *past) {
			l := p.final.Lists["list:0"]
			l[0], l[1] = l[1], l[0]
			p.find(history.Push, 1).By = "w2g0"
		}, func(r *check.Report) int { return r.Window }},
		"a value popped on both servers": {func(p *past) {
			o := p.write(history.Pop, "queue:0")
			o.Value, o.Reply, o.Server = "", p.find(history.Enqueue, 1).Value, history.Local
		}, func(r *check.Report) int { return r.Stale }},
		"a queued value that a lost pop has taken": {func(p *past) {
			delete(p.final.Lists, "queue:0")
			o := p.write(history.Pop, "queue:0")
			o.Value, o.State = "", history.Open
		}, func(r *check.Report) int { return r.Excused }},
		"one value replaced on both servers": {func(p *past) {
			o := p.find(history.Swap, 1)
			o.Reply, o.Server = "", history.Local
		}, nil},
		"an expiry that is late by a standstill": {func(p *past) { p.final.Expires["expiring:long"] += 2500 }, nil},
		"a session touched on a server that did not have it": {func(p *past) {
			p.find(history.Touch, 1).Epoch = 2
			p.final.Hashes["session:short"] = map[string]string{p.find(history.Touch, 1).Value: "1"}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := good()
			c.change(p)
			r := check.History(p.ops, &p.final)
			for _, v := range r.Violations {
				t.Error(v)
			}
			if c.count != nil && c.count(r) != 1 {
				t.Errorf("not counted: %+v", r)
			}
		})
	}
}
