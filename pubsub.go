package fallback

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// listener is one subscribed connection of the program. What is said on the primary comes over the
// connection itself, what is said on local from the hub. Confirmations come from the server that
// serves; at a switch they are given anew, as after go-redis' own reconnection.
type listener struct {
	hub  *hub
	conn *wire.Conn

	// hub.mu protects these.
	wanted  map[topic]bool
	owed    *departure
	resumed map[topic]bool

	mu     sync.Mutex // before hub.mu, never after it
	leader Backend
	order  []topic // what is wanted, in the order it was asked for
	asked  map[topic]bool
	heard  map[topic]bool // confirmed by the primary
	gone   bool           // the primary's side has ended
	over   bool           // the client has closed the connection
	kept   time.Time      // when the primary's side was last used while local serves
}

// keepAlive is how often the primary's side of a subscription is used while local serves: hosts close
// what is idle for 30 s. PING is not billed.
const keepAlive = 20 * time.Second

// listen takes over a connection on which a client subscribes. One that was never made has no primary.
func (h *Hook) listen(conn *wire.Conn, nowhere bool) wire.Subscriber {
	if _, ring := h.local.(*redis.Ring); ring {
		return nil // which is listened to channel by channel, and panics where a shard is gone
	}
	return &listener{
		hub: &h.ears, conn: conn, leader: h.era.Load().serving, gone: nowhere, kept: time.Now(),
		wanted: map[topic]bool{}, resumed: map[topic]bool{}, asked: map[topic]bool{}, heard: map[topic]bool{},
	}
}

// Command takes what the client writes.
func (l *listener) Command(args [][]byte, raw []byte) error {
	if len(args) == 0 {
		return l.conn.Send(raw)
	}
	name := strings.ToLower(string(args[0]))
	off := strings.Replace(name, "unsub", "sub", 1)
	for kind, verb := range verbs {
		if verb != off {
			continue
		}
		topics := make([]topic, 0, len(args)-1)
		for _, arg := range args[1:] {
			topics = append(topics, topic{topicKind(kind), string(arg)})
		}
		if off == name {
			return l.subscribe(topics, raw)
		}
		return l.unsubscribe(topicKind(kind), topics, name, raw)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leader == Primary {
		return l.send(raw)
	}
	if !l.gone && time.Since(l.kept) > keepAlive {
		l.kept = time.Now()
		_ = l.send(raw)
	}
	switch name {
	case "ping":
		payload := ""
		if len(args) > 1 {
			payload = string(args[1])
		}
		l.conn.Deliver(array("pong", payload), false)
	case "client", "quit", "reset":
		l.conn.Deliver([]byte("+OK\r\n"), false)
	default:
		return wire.ErrStale // somebody has subscribed on a pooled connection, and this is a stranger's
	}
	return nil
}

// send writes to the primary. That its side has ended is not the client's business: see Gone.
func (l *listener) send(raw []byte) error {
	if !l.gone {
		_ = l.conn.Send(raw)
	}
	return nil
}

func (l *listener) subscribe(topics []topic, raw []byte) error {
	l.mu.Lock()
	for _, t := range topics {
		if !slices.Contains(l.order, t) {
			l.order = append(l.order, t)
		}
	}
	l.mu.Unlock()
	live := l.hub.add(l, topics)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leader == Local {
		for _, t := range live {
			l.confirm(verbs[t.kind], t)
		}
		return nil // the primary is asked when it is about to serve again
	}
	for _, t := range topics {
		l.asked[t] = true
	}
	return l.send(raw)
}

func (l *listener) unsubscribe(kind topicKind, topics []topic, verb string, raw []byte) error {
	l.mu.Lock()
	if len(topics) == 0 {
		for _, t := range l.order {
			if t.kind == kind {
				topics = append(topics, t)
			}
		}
	}
	for _, t := range topics {
		l.order = slices.DeleteFunc(l.order, func(have topic) bool { return have == t })
		delete(l.asked, t)
		delete(l.heard, t)
	}
	if l.leader == Local {
		for _, t := range topics {
			l.confirm(verb, t)
		}
	}
	// The primary is told at once, also over quota: it would go on sending.
	err := l.send(raw)
	l.mu.Unlock()
	l.hub.remove(l, topics)
	return err
}

// confirm tells the client that a topic is subscribed to, or no longer.
func (l *listener) confirm(verb string, t topic) {
	n := slices.Index(l.order, t) + 1
	if n == 0 {
		n = len(l.order)
	}
	frame := array(verb, t.name)
	frame[1] = '3'
	frame = append(frame, ':')
	frame = strconv.AppendInt(frame, int64(n), 10)
	l.conn.Deliver(append(frame, "\r\n"...), false)
}

// localLive is told that local has confirmed a topic.
func (l *listener) localLive(t topic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leader == Local && slices.Contains(l.order, t) {
		l.confirm(verbs[t.kind], t)
	}
}

// Frame takes what the primary says.
func (l *listener) Frame(frame []byte) {
	if frame[0] == '-' {
		l.refused(frame)
		return
	}
	parts := wire.Elements(frame)
	if len(parts) == 0 {
		l.reply(frame)
		return
	}
	switch kind := string(parts[0]); kind {
	case "message", "pmessage", "smessage":
		channel := parts[min(len(parts)-1, 1)]
		if kind == "pmessage" && len(parts) > 2 {
			channel = parts[2]
		}
		if !bytes.HasPrefix(channel, []byte(keyEvents)) || l.hub.h.Serving() == Primary {
			l.conn.Deliver(frame, true)
		}
	case "subscribe", "psubscribe", "ssubscribe":
		l.mu.Lock()
		for k, verb := range verbs {
			if verb == kind && len(parts) > 1 {
				l.heard[topic{topicKind(k), string(parts[1])}] = true
			}
		}
		l.mu.Unlock()
		l.reply(frame)
	default:
		l.reply(frame)
	}
}

// reply hands on what is an answer to the client, if the primary is the one to answer.
func (l *listener) reply(frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leader == Primary || frame[0] == '>' && !bytes.Contains(frame, []byte("subscribe")) {
		l.conn.Deliver(frame, false)
	}
}

// refused sees an error reply. A limit trips, as it does for any command; where local then serves, the
// client hears of its subscriptions from there.
func (l *listener) refused(frame []byte) {
	h := l.hub.h
	err := replyError(bytes.TrimRight(frame[1:], "\r\n"))
	l.mu.Lock()
	clear(l.asked)
	leader := l.leader
	l.mu.Unlock()
	if h.verdict(nil, err) == Limit {
		h.refused.Add(1)
		l.hub.refused.Store(true)
		if leader == Primary && h.trip(context.Background(), h.era.Load(), ReasonQuota, newLimitError(err)).serving == Local {
			return
		}
	} else if leader == Local {
		l.hub.denied.Store(true)
	}
	if leader == Primary {
		l.conn.Deliver(frame, false)
	}
}

// array writes strings as a server does.
func array(parts ...string) []byte {
	b := append([]byte{'*'}, strconv.Itoa(len(parts))...)
	b = append(b, "\r\n"...)
	for _, p := range parts {
		b = append(b, '$')
		b = strconv.AppendInt(b, int64(len(p)), 10)
		b = append(b, "\r\n"...)
		b = append(b, p...)
		b = append(b, "\r\n"...)
	}
	return b
}
