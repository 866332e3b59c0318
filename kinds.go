package fallback

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// carrier is what lies below the hook in the first client it was added to.
type carrier struct {
	in      *instance
	process redis.ProcessHook
	tx      redis.ProcessPipelineHook
}

// maxAdmit bounds the wait for another goroutine that finds out the kind: it sends nothing.
const maxAdmit = time.Second

// admit looks once, before the first call, at what kind of client carries the hook, and refuses a Ring
// with ErrRing: each of its shards would be over quota for itself, and a Ring moves the keys of a shard
// that does not answer to the others.
//
// go-redis does not tell a hook whose it is. The kinds differ in what they make of calls whose context
// has ended before they begin, and of none of these calls a byte is sent or a connection made. Hooks
// that were added after ours see one such call on a plain client, and a few on a cluster. Only the first
// client of a hook is looked at: on a Conn or a Tx of a further one such a call would be sent.
func (h *Hook) admit() error {
	select {
	case h.admitting <- struct{}{}:
		defer func() { <-h.admitting }()
	case <-time.After(maxAdmit):
		return nil // a hook below ours that calls the client from inside a call
	}
	if h.admitted.Load() {
		return nil
	}
	c := h.carrier.Load()
	if c == nil || c.process == nil || c.tx == nil || c.in.dials.Load() {
		h.admitted.Store(true)
		return nil
	}
	cluster, err := c.refuse()
	if cluster {
		h.cluster.Store(true)
	}
	h.admitted.Store(err == nil)
	return err
}

// refuse returns ErrRing for a Ring, or the error that a call would end with while all shards of it are
// down, and nil for all others. It tells a cluster from a plain client.
func (c *carrier) refuse() (cluster bool, _ error) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	tx := func(cmds ...redis.Cmder) error {
		all := append([]redis.Cmder{redis.NewStatusCmd(ended, "multi")}, cmds...)
		return c.tx(ended, append(all, redis.NewSliceCmd(ended, "exec")))
	}
	// Only a client that would have sent MULTI and EXEC minds the context.
	if tx() != nil {
		return false, nil
	}
	// The others take a transaction to the nodes of its keys. A cluster that knows its slots has only
	// one node for it.
	apart := func() bool {
		err := tx(redis.NewStringCmd(ended, "get", "a"), redis.NewStringCmd(ended, "get", "b"))
		return errors.Is(err, redis.ErrCrossSlot)
	}
	if apart() {
		return true, nil
	}
	// One that does not know them yet fails before it has a node, a Ring at the node.
	cmd := &told{Cmder: redis.NewStringCmd(ended, "get", "a")}
	switch err := c.process(ended, cmd); {
	case cmd.told && apart(): // it has learned its slots just now
		return true, nil
	case cmd.told:
		return false, ErrRing
	case err != nil && strings.Contains(err.Error(), "ring shards"): // are down: there is no node to fail at
		return false, err
	}
	return true, nil
}

// told is a command that notices that a client has processed it: the last that a client does is to
// tell the command its error.
type told struct {
	redis.Cmder
	told bool
}

// SetErr sets the error.
func (t *told) SetErr(err error) {
	t.told = true
	t.Cmder.SetErr(err)
}

// refuseAll gives every command of a batch the error that refused it.
func refuseAll(cmds []redis.Cmder, err error) error {
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
	return err
}
