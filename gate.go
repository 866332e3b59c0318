package fallback

import (
	"bytes"
	"strings"
	"sync"

	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// gate returns what is asked about each request on a connection that is made in this era. While the
// primary is not to be looked at, a connection is made for a probe or a subscriber, and who finds one in
// the pool is a straggler: a call that was on its way when the primary went. Its place is local, which
// serves, also if the primary is just back.
func (h *Hook) gate(e *era) func([]byte) error {
	if !e.undialed() {
		return nil
	}
	probe := []byte(h.cfg.probeKey)
	return func(request []byte) error {
		if !h.era.Load().undialed() {
			return nil
		}
		name := string(wire.RequestName(request))
		switch {
		case setsUp(wire.Elements(request)), strings.EqualFold(name, "hello"), findsNodes(name):
		case strings.EqualFold(name, "set") && bytes.Contains(request, probe):
		case h.onConnect.has(name): // what the program's OnConnect sends belongs to the set-up
		default:
			return errNotDialed
		}
		return nil
	}
}

// settingUp knows what is under way to set up a connection, by the names of the commands.
type settingUp struct {
	mu    sync.Mutex
	names map[string]int
}

// sends notes commands, and returns what takes the note away.
func (s *settingUp) sends(cmds ...redis.Cmder) (done func()) {
	note := func(n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.names == nil {
			s.names = map[string]int{}
		}
		for _, cmd := range cmds {
			s.names[cmd.Name()] += n
		}
	}
	note(1)
	return func() { note(-1) }
}

func (s *settingUp) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[strings.ToLower(name)] > 0
}

// findsNodes reports what a cluster's client asks to know its nodes, without which no probe finds one.
func findsNodes(name string) bool {
	switch strings.ToLower(name) {
	case "cluster", "command", "ping", "asking":
		return true
	}
	return false
}
