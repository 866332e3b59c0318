package mirror

import (
	"sync"

	"github.com/redis/go-redis/v9"
)

// Call is one command, pipeline or transaction on its way to the primary. The zero value writes nothing.
// It is ended once, by Done, DoneAll, Lost or Nothing.
type Call struct {
	began int64
	gen   *generation
	fence uint32
	lane  uint8
}

// scratch is what a call needs for a moment.
type scratch struct {
	ops  Ops
	keys []int
	text []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// Begin says that a command is about to be sent to the primary; db is as in Op. When it returns local
// will hear, even if this process is killed, that the command's keys may change. A command that writes
// nothing gives the zero Call, and so does a mirror that is off.
func (m *Mirror) Begin(args []any, _ string) Call {
	if m.off.Load() != nil {
		return Call{}
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	if s.keys = Keys(s.keys[:0], args); len(s.keys) == 0 {
		return Call{}
	}
	c := m.enter()
	m.claim(c.gen, s, args)
	return c
}

// BeginAll is Begin of a pipeline or transaction.
func (m *Mirror) BeginAll(cmds []redis.Cmder, _ string) Call {
	if m.off.Load() != nil {
		return Call{}
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	var c Call
	for _, cmd := range cmds {
		args := cmd.Args()
		if s.keys = Keys(s.keys[:0], args); len(s.keys) == 0 {
			continue
		}
		if c.gen == nil {
			c = m.enter()
		}
		m.claim(c.gen, s, args)
	}
	return c
}

// enter makes a call. The order matters: what is known of the fence and the time is from before the
// claims, and those from before the command is sent.
func (m *Mirror) enter() Call {
	c := Call{began: nanos(), fence: m.fence.Load()}
	c.lane = lane(c.began)
	for {
		c.gen = m.current.Load()
		c.gen.calls[c.lane].n.Add(1)
		// A generation that has ended may have been taken for empty before it counted this call.
		if m.current.Load() == c.gen {
			return c
		}
		c.gen.calls[c.lane].n.Add(-1)
	}
}

// claim claims the keys at s.keys.
func (m *Mirror) claim(g *generation, s *scratch, args []any) {
	for _, i := range s.keys {
		if i == 0 {
			m.claimAll(g)
			continue
		}
		var bucket uint32
		switch k := args[i].(type) {
		case string:
			bucket = bucketOf(k)
		case []byte:
			bucket = bucketOf(k)
		default:
			s.text = AppendArg(s.text[:0], k)
			bucket = bucketOf(s.text)
		}
		m.claimBucket(g, bucket)
	}
}

// Done says that the primary has acknowledged a command, be it with an error reply.
func (m *Mirror) Done(c Call, db string, cmd redis.Cmder) {
	if c.gen == nil {
		m.unclaimed(db, cmd)
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.ops.Reset()
	m.effect(&s.ops, db, cmd)
	m.put(c, &s.ops, 0)
}

// DoneAll is Done of those commands of a pipeline or transaction that were acknowledged, without its
// MULTI and EXEC.
func (m *Mirror) DoneAll(c Call, db string, cmds []redis.Cmder) {
	if c.gen == nil {
		m.unclaimed(db, cmds...)
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.ops.Reset()
	for _, cmd := range cmds {
		m.effect(&s.ops, db, cmd)
	}
	m.put(c, &s.ops, 0)
}

// effect adds what a command did. Before local's clock is known no expiry can be told.
func (m *Mirror) effect(ops *Ops, db string, cmd redis.Cmder) {
	b := m.clock.Load()
	if b == nil {
		ops.Unsure(db, cmd)
		return
	}
	now := nanos()
	_, hi := b.local(now, now)
	ops.Effect(db, cmd, hi/1000+1)
}

// Lost says that commands may have run, or may still run for a while: their replies have not come.
func (m *Mirror) Lost(c Call, db string, cmds ...redis.Cmder) {
	if c.gen == nil {
		m.unclaimed(db, cmds...)
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.ops.Reset()
	for _, cmd := range cmds {
		s.ops.Unsure(db, cmd)
	}
	m.put(c, &s.ops, m.cfg.Timing.Lost.Nanoseconds())
}

// Nothing says that a call has surely not run on the primary.
func (m *Mirror) Nothing(c Call) {
	if c.gen != nil {
		c.gen.leave(c.lane)
	}
}

// Doubt says that local may not hold these keys as the primary has them, whatever the reason. db is as in
// Op.
func (m *Mirror) Doubt(db string, keys ...string) {
	if db == m.home {
		db = ""
	}
	for _, key := range keys {
		m.loseKey(db, key)
	}
	m.rouse()
}

// Switch says that another server serves now, or the same one under another fence: what began before is
// of the time before.
func (m *Mirror) Switch() {
	m.another()
	m.rouse()
}
