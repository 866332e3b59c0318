package fallbacktest

import (
	"bufio"
	"bytes"
	"strings"

	"github.com/alicebob/miniredis/v2/server"
)

// free are the commands that are not billed. They answer over quota, unless told otherwise.
var free = map[string]bool{
	"AUTH": true, "HELLO": true, "SELECT": true, "COMMAND": true, "CONFIG": true, "INFO": true,
	"PING": true, "RESET": true, "QUIT": true, "CLIENT": true, "READONLY": true,
}

// rules say what is refused.
type rules struct {
	reply     string // for every billed command; "" refuses none
	writes    bool   // only those that write, and add
	every     int    // only every k-th
	turn      int
	quota     int // commands left; -1 without a quota
	metered   bool
	ping      bool // PING is refused as well
	handshake bool // AUTH and HELLO are refused as well
	only      map[string]string
	lose      map[string]loss
}

type loss struct {
	n    int
	half bool
}

// Exhaust uses up the month's requests: every billed command is refused from here on.
func (s *Server) Exhaust() { s.Refuse(ReplyRequests) }

// Suspend suspends the database for its budget. PING is refused as well.
func (s *Server) Suspend() {
	s.change(func(r *rules) { *r = rules{reply: ReplyBudget, ping: true, only: r.only, lose: r.lose} })
}

// Fill fills the storage: commands that write are refused, reads and deletions go on.
func (s *Server) Fill() {
	s.change(func(r *rules) { *r = rules{reply: ReplyStorage, writes: true, only: r.only, lose: r.lose} })
}

// Refuse refuses every billed command with this error text, given without the leading "-".
func (s *Server) Refuse(reply string) {
	s.change(func(r *rules) { r.reply, r.writes, r.metered = reply, false, false })
}

// RefuseOnly refuses commands of one name, in any case, whatever they are; "" as reply ends it. With
// "MULTI" or "EXEC" the rest of a transaction is answered as a server does that knows nothing of it.
func (s *Server) RefuseOnly(command, reply string) {
	s.change(func(r *rules) {
		if r.only == nil {
			r.only = map[string]string{}
		}
		r.only[strings.ToUpper(command)] = reply
	})
}

// Quota lets n more billed commands through, and refuses those after as Exhaust does.
func (s *Server) Quota(n int) {
	s.change(func(r *rules) { r.reply, r.metered, r.quota = "", true, n })
}

// Every makes refusals hit every k-th billed command alone. 0 and 1: all.
func (s *Server) Every(k int) { s.change(func(r *rules) { r.every, r.turn = k, 0 }) }

// RefusePing has PING refused too, while commands are.
func (s *Server) RefusePing(on bool) { s.change(func(r *rules) { r.ping = on }) }

// RefuseHandshake has AUTH and HELLO refused too, while commands are: new connections fail.
func (s *Server) RefuseHandshake(on bool) { s.change(func(r *rules) { r.handshake = on }) }

// Renew ends every refusal.
func (s *Server) Renew() { s.change(func(r *rules) { *r = rules{} }) }

// LoseReply executes the next n commands of this name and cuts the connection in place of a reply.
func (s *Server) LoseReply(command string, n int) { s.loses(command, loss{n: n}) }

// HalfReply is LoseReply with the first half of the reply sent.
func (s *Server) HalfReply(command string, n int) { s.loses(command, loss{n: n, half: true}) }

func (s *Server) loses(command string, l loss) {
	s.change(func(r *rules) {
		if r.lose == nil {
			r.lose = map[string]loss{}
		}
		r.lose[strings.ToUpper(command)] = l
	})
}

func (s *Server) change(f func(*rules)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.rules)
}

// before decides about a command before miniredis sees it. It returns true when that is all.
func (s *Server) before(peer *server.Peer, name string, args ...string) bool {
	s.mu.Lock()
	if s.inner[peer] {
		s.mu.Unlock()
		return false
	}
	if reply := s.rules.refuses(s, name); reply != "" {
		s.refusals++
		s.mu.Unlock()
		peer.WriteError(reply)
		return true
	}
	s.counts[name]++
	l, lost := s.rules.lose[name]
	if lost = lost && l.n > 0; lost {
		l.n--
		s.rules.lose[name] = l
	}
	s.mu.Unlock()
	if lost {
		s.loseReply(peer, l.half, append([]string{name}, args...))
	}
	return lost
}

// loseReply runs a command for a stand-in of the peer, which shares its state.
func (s *Server) loseReply(peer *server.Peer, half bool, command []string) {
	var reply bytes.Buffer
	w := bufio.NewWriter(&reply)
	in := server.NewPeer(w)
	in.Ctx, in.Resp3 = peer.Ctx, peer.Resp3
	s.mu.Lock()
	s.inner[in] = true
	s.mu.Unlock()
	s.server.Dispatch(in, command)
	in.Flush()
	s.mu.Lock()
	delete(s.inner, in)
	s.mu.Unlock()
	if half {
		peer.WriteRaw(reply.String()[:(reply.Len()+1)/2])
	}
	peer.Close()
}

// refuses returns the refusal that a command meets, or "". s.mu is held.
func (r *rules) refuses(s *Server, name string) string {
	if reply := r.only[name]; reply != "" {
		return reply
	}
	if r.metered && !free[name] {
		if r.quota > 0 {
			r.quota--
			return ""
		}
		r.reply, r.metered = ReplyRequests, false
	}
	switch {
	case r.reply == "":
		return ""
	case name == "PING":
		if !r.ping {
			return ""
		}
	case name == "AUTH", name == "HELLO":
		if !r.handshake {
			return ""
		}
	case free[name]:
		return ""
	case r.writes && (s.redis.IsReadOnlyCommand(name) || shrinks[name]):
		return ""
	}
	if r.every > 1 && !free[name] {
		if r.turn++; r.turn%r.every != 0 {
			return ""
		}
	}
	return r.reply
}

// shrinks are writes that go on when the storage is full, and the frame of a transaction.
var shrinks = map[string]bool{
	"DEL": true, "UNLINK": true, "HDEL": true, "SREM": true, "ZREM": true, "LREM": true, "LPOP": true,
	"RPOP": true, "SPOP": true, "GETDEL": true, "XDEL": true, "XTRIM": true, "LTRIM": true,
	"FLUSHDB": true, "FLUSHALL": true, "EXPIRE": true, "PEXPIRE": true,
	"MULTI": true, "EXEC": true, "DISCARD": true, "WATCH": true, "UNWATCH": true, "SUBSCRIBE": true,
}
