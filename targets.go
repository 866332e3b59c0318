package fallback

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// targets are the addresses that connections were made to, beyond the first: the nodes of a cluster.
type targets struct {
	mu   sync.Mutex
	list []*dialTarget // the newest first

	failed atomic.Int64 // dials of a cluster's nodes in a row
}

// maxTargets bounds what is remembered of a cluster whose nodes come and go.
const maxTargets = 32

func (t *targets) get(network, addr string, next redis.DialHook) *dialTarget {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, known := range t.list {
		if known.network == network && known.addr == addr {
			return known
		}
	}
	made := &dialTarget{network: network, addr: addr, next: next}
	t.list = slices.Insert(t.list, 0, made)
	t.list = t.list[:min(len(t.list), maxTargets)]
	return made
}

// answersPing reports whether the server answers a PING on a fresh connection in time; of a cluster,
// any node. One node that hangs among others that live is the cluster's own to replace.
func (s *side) answersPing(first *dialTarget, timeout time.Duration) bool {
	s.nodes.mu.Lock()
	all := append([]*dialTarget{first}, s.nodes.list...)
	s.nodes.mu.Unlock()
	if len(all) == 1 {
		return first.answersPing(timeout)
	}
	answers := make(chan bool, len(all))
	for _, t := range all {
		go func() { answers <- t.answersPing(timeout) }()
	}
	for range all {
		if <-answers {
			return true
		}
	}
	return false
}

// lives reports whether the server answers; of a cluster, any node.
func (s *side) lives(timeout time.Duration) error {
	s.nodes.mu.Lock()
	all := append([]*dialTarget{s.dialed.Load()}, s.nodes.list...)
	s.nodes.mu.Unlock()
	var err error
	for _, t := range all {
		if t == nil {
			continue
		}
		if err = t.ping(timeout); err == nil {
			return nil
		}
	}
	return err
}
