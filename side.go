package fallback

import (
	"sync/atomic"
	"time"

	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/internal/wire"
)

// side is what is kept of one server.
type side struct {
	name    string
	breaker *breaker.Breaker
	conns   wire.Set
	ok      counter // commands answered
	failed  atomic.Int64
	// Attempts at a command that got no answer, and connections that could not be made.
	unanswered, undialed atomic.Int64

	last atomic.Pointer[lastFailure]
	end  atomic.Pointer[endpoint]

	dialed   atomic.Pointer[dialTarget]
	nodes    targets
	checking atomic.Bool  // a hung server is being told from a slow one
	alive    atomic.Int64 // when it last answered a PING of that check, ns since 1970
}

type lastFailure struct {
	at   time.Time
	text string
}

func (s *side) answered(n int) {
	s.ok.add(n)
	if !s.breaker.Clean() {
		s.breaker.Record(breaker.Success)
	}
}

func (s *side) failure(err error) {
	s.failed.Add(1)
	s.last.Store(&lastFailure{time.Now(), plainText(err)})
}
