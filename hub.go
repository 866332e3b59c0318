package fallback

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// A subscription is heard on both servers all the time: publishers, in this process and in others,
// may be on either. So nothing is lost at a switch between servers that live, and a process that only
// listens need not know of one. The hub is the half on local: one connection for all that this process
// subscribes to.

// topic is one thing to subscribe to: a channel, a pattern or a shard channel.
type topic struct {
	kind topicKind
	name string
}

type topicKind uint8

const (
	channelTopic topicKind = iota
	patternTopic
	shardTopic
)

// verbs of SUBSCRIBE and UNSUBSCRIBE.
var verbs = [...]string{channelTopic: "subscribe", patternTopic: "psubscribe", shardTopic: "ssubscribe"}

// hub listens on local for the subscribers of this process.
type hub struct {
	h    *Hook
	work queue[struct{}] // one at a time makes local's subscriptions those that are wanted
	told queue[Backend]  // switches, to be told to the listeners

	mu        sync.Mutex
	listeners map[*listener]struct{}
	wanted    map[topic]int // by how many listeners
	ears      map[string]*ear

	seq      uint64 // messages heard
	recent   []heard
	departed []*departure

	denied  atomic.Bool // the same for another reason: its client is told, once the primary serves
	refused atomic.Bool // the primary has refused a subscription for a limit, while a return was prepared
}

// ear is one subscribed connection to local.
type ear struct {
	ps     *redis.PubSub
	shards bool
	asked  map[topic]bool
	live   map[topic]bool // confirmed by local
	ended  chan struct{}  // closed when nobody wants it any more
}

func (b *hub) init(h *Hook) {
	b.h = h
	b.listeners, b.wanted, b.ears = map[*listener]struct{}{}, map[topic]int{}, map[string]*ear{}
	b.work.do = func(struct{}) { b.reconcile() }
	b.told.do = b.tell
}

// add subscribes a listener to topics, and returns those that local has confirmed already. resume is
// what is owed to it, or nil.
func (b *hub) add(l *listener, topics []topic) (live []topic) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners[l] = struct{}{}
	for _, t := range topics {
		if !l.wanted[t] {
			l.wanted[t] = true
			b.wanted[t]++
		}
		if b.liveLocked(t) {
			live = append(live, t)
		}
	}
	b.resumeLocked(l, topics)
	b.work.put(struct{}{})
	return live
}

func (b *hub) remove(l *listener, topics []topic) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range topics {
		b.dropLocked(l, t)
	}
	b.work.put(struct{}{})
}

func (b *hub) dropLocked(l *listener, t topic) {
	if !l.wanted[t] {
		return
	}
	delete(l.wanted, t)
	if b.wanted[t]--; b.wanted[t] <= 0 {
		delete(b.wanted, t)
	}
}

// leave takes a listener away.
func (b *hub) leave(l *listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.listeners[l]; !ok {
		return
	}
	for t := range l.wanted {
		b.dropLocked(l, t)
	}
	delete(b.listeners, l)
	b.work.put(struct{}{})
}

func (b *hub) liveLocked(t topic) bool {
	e := b.ears[b.earOf(t)]
	return e != nil && e.live[t]
}

// earOf names the connection that a topic is listened to on. A shard channel of a cluster lives on the
// node of its slot, so each has its own there; and go-redis does not tell messages of shard channels
// from others, so they are kept apart everywhere.
func (b *hub) earOf(t topic) string {
	if t.kind != shardTopic {
		return ""
	}
	if _, cluster := b.h.local.(*redis.ClusterClient); cluster {
		return "shard " + t.name
	}
	return "shards"
}

// reconcile makes local's subscriptions those that are wanted.
func (b *hub) reconcile() {
	type change struct {
		e         *ear
		add, drop map[topicKind][]string
		begin     bool
		end       bool
	}
	changes := map[string]*change{}
	b.mu.Lock()
	of := func(name string, e *ear) *change {
		if changes[name] == nil {
			changes[name] = &change{e: e, add: map[topicKind][]string{}, drop: map[topicKind][]string{}}
		}
		return changes[name]
	}
	for t := range b.wanted {
		name := b.earOf(t)
		e := b.ears[name]
		if e == nil {
			e = &ear{
				ps: b.h.local.Subscribe(context.Background()), shards: t.kind == shardTopic,
				asked: map[topic]bool{}, live: map[topic]bool{}, ended: make(chan struct{}),
			}
			b.ears[name] = e
			of(name, e).begin = true
		}
		if !e.asked[t] {
			e.asked[t] = true
			c := of(name, e)
			c.add[t.kind] = append(c.add[t.kind], t.name)
		}
	}
	for name, e := range b.ears {
		for t := range e.asked {
			if b.wanted[t] == 0 {
				delete(e.asked, t)
				delete(e.live, t)
				c := of(name, e)
				c.drop[t.kind] = append(c.drop[t.kind], t.name)
			}
		}
		if len(e.asked) == 0 {
			of(name, e).end = true
			delete(b.ears, name)
		}
	}
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, c := range changes {
		if c.end {
			close(c.e.ended)
			_ = c.e.ps.Close()
			continue
		}
		// What fails is done when the connection is made anew.
		for kind, names := range c.drop {
			_ = [...]func(context.Context, ...string) error{c.e.ps.Unsubscribe, c.e.ps.PUnsubscribe, c.e.ps.SUnsubscribe}[kind](ctx, names...)
		}
		for kind, names := range c.add {
			_ = [...]func(context.Context, ...string) error{c.e.ps.Subscribe, c.e.ps.PSubscribe, c.e.ps.SSubscribe}[kind](ctx, names...)
		}
		if c.begin { // not before: a cluster's connection is made to the node of what is subscribed to
			go b.hear(c.e)
		}
	}
}

// hear listens on local until nobody wants it any more.
func (b *hub) hear(e *ear) {
	const soon, late = 10 * time.Millisecond, 30 * time.Second
	wait := soon
	for {
		msg, err := e.ps.Receive(context.Background())
		if errors.Is(err, redis.ErrClosed) {
			return
		}
		if err != nil {
			if !isReply(err) { // which is to one SUBSCRIBE; the others stand
				b.mu.Lock()
				clear(e.live)
				b.mu.Unlock()
			}
			era := b.h.era.Load()
			if era.serving == Local {
				wait = min(wait, time.Second)
			}
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-era.ended:
			case <-e.ended:
			}
			t.Stop()
			wait = min(2*wait, late)
			continue
		}
		wait = soon
		switch msg := msg.(type) {
		case *redis.Subscription:
			b.confirmed(e, msg)
		case *redis.Message:
			b.message(e, msg)
		}
	}
}

func (b *hub) confirmed(e *ear, s *redis.Subscription) {
	for kind, verb := range verbs {
		if s.Kind != verb {
			continue
		}
		t := topic{topicKind(kind), s.Channel}
		b.mu.Lock()
		if e.asked[t] {
			e.live[t] = true
		}
		var tell []*listener
		for l := range b.listeners {
			if l.wanted[t] {
				tell = append(tell, l)
			}
		}
		b.mu.Unlock()
		for _, l := range tell {
			l.localLive(t)
		}
	}
}

// message hands a message to who wants it.
func (b *hub) message(e *ear, m *redis.Message) {
	var t topic
	var frame []byte
	switch {
	case m.Pattern != "":
		t, frame = topic{patternTopic, m.Pattern}, array("pmessage", m.Pattern, m.Channel, m.Payload)
	case e.shards:
		t, frame = topic{shardTopic, m.Channel}, array("smessage", m.Channel, m.Payload)
	default:
		t, frame = topic{channelTopic, m.Channel}, array("message", m.Channel, m.Payload)
	}
	if b.h.era.Load().serving != Local && (strings.HasPrefix(m.Channel, keyEvents) || b.h.sameServer.Load()) {
		return // the connection to the primary says it as well, or it is nobody's business
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	if len(b.departed) > 0 {
		if len(b.recent) >= recentMost {
			b.recent = b.recent[1:]
		}
		b.recent = append(b.recent, heard{b.seq, t, frame})
	}
	for l := range b.listeners {
		if l.wanted[t] {
			l.conn.Deliver(frame, false)
		}
	}
}

// keyEvents begins the channels on which a server tells of its own keys. Those of the server that does
// not serve are nobody's business.
const keyEvents = "__key"

func (b *hub) all() []*listener {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*listener, 0, len(b.listeners))
	for l := range b.listeners {
		all = append(all, l)
	}
	return all
}

// tell tells the listeners who serves now.
func (b *hub) tell(serving Backend) {
	if serving == Primary {
		b.catchUp()
	}
	for _, l := range b.all() {
		l.follow(serving)
	}
	if serving == Primary {
		b.catchUp() // with what was refused meanwhile
	}
}
