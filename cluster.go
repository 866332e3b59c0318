package fallback

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"unsafe"

	"github.com/redis/go-redis/v9"
)

// AddToCluster adds the hook to a ClusterClient and to the clients of its nodes. It must come before
// the first use of the client, which makes those of the nodes.
//
// Plain AddHook works as well: commands, pipelines and transactions are failed over, replayed and
// given back. But go-redis makes the connections of a cluster in clients of the nodes, which such a
// hook does not see. With AddToCluster the hook also sees dials that fail as they do, connections that
// hang or have gone stale, limits at the set-up of a connection, and whether a MULTI was refused alone:
// without that, a refused transaction switches but is not replayed, its caller gets the refusal.
//
// The cluster is one server to the hook. The quota of one node switches all of it, and so does a node
// that a command needs and cannot reach, until the cluster has replaced it; a node that nobody needs
// does not. The cluster hangs if none of its nodes answers a PING.
//
// Watch and Pub/Sub begin at the clients of the nodes. With AddToCluster they follow the switch as on a
// plain client; with plain AddHook they stay on the primary. What is asked of a node's client, as in
// ForEachMaster, is the node's alone.
func (h *Hook) AddToCluster(c *redis.ClusterClient) {
	if !h.off {
		h.admitted.Store(true)
		h.cluster.Store(true)
		h.onNodes.Store(true)
		c.OnNewNode(func(n *redis.Client) {
			nh := &nodeHook{h: h}
			n.AddHook(nh)
			nh.added.Store(true)
		})
	}
	c.AddHook(h)
}

// nodeHook is the hook on the client of one node. What the cluster sends through it is decided on
// above, by the cluster's own hook: it passes as it is, errors as well, which the cluster must see to
// follow its slots. A Watch, a Conn and the set-up of a connection begin here.
type nodeHook struct {
	h     *Hook
	added atomic.Bool // the sets that are built from now on are not the client's own
}

// DialHook watches connections as on a plain client.
func (n *nodeHook) DialHook(next redis.DialHook) redis.DialHook {
	enoughStack()
	var here byte
	n.h.nodeLinks.begin(uintptr(unsafe.Pointer(&here))) //nolint:gosec // where it lies, no pointer
	return n.h.dialing(next, nil)
}

// ProcessHook sees what is sent on one connection.
func (n *nodeHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	var here byte
	in := n.h.nodeLinks.process(uintptr(unsafe.Pointer(&here))) //nolint:gosec // where it lies, no pointer
	in.next = next
	if !n.added.Load() || in.is(alone) {
		return next
	}
	return func(ctx context.Context, cmd redis.Cmder) error { return n.h.process(ctx, in, next, cmd) }
}

// ProcessPipelineHook is the same for pipelines. The cluster builds one alone for each node's part of a
// pipeline of its own.
func (n *nodeHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	var here byte
	in := n.h.nodeLinks.pipeline(uintptr(unsafe.Pointer(&here))) //nolint:gosec // where it lies, no pointer
	if !n.added.Load() || in.is(alone) {
		return next
	}
	return func(ctx context.Context, cmds []redis.Cmder) error { return n.h.processPipeline(ctx, in, next, cmds) }
}

// probeName is the key that the next probe writes. On a cluster the keys of three probes in a row lie in
// the three thirds of the slots: a node that refuses among others that answer is met.
func (h *Hook) probeName() string {
	if !h.cluster.Load() {
		return h.cfg.probeKey
	}
	return h.cfg.probeKey + [...]string{"{b}", "{c}", "{a}"}[h.looks.Add(1)%3]
}

// nodeUnreachable is told of a dial to a node that failed. That is not the cluster's end: go-redis also
// dials nodes that are gone to ask for the slots or to measure the way, where no command needs one. So
// it is counted where it fails a command. But when dials fail in a row and no other node answers
// either, nobody needs to wait for that.
func (h *Hook) nodeUnreachable(ctx context.Context, e *era, addr string, err error) (net.Conn, error) {
	if h.primary.nodes.failed.Add(1)%dialsEach == 0 && h.era.Load() == e && e.serving == Primary {
		if t := h.primary.dialed.Load(); t != nil && !h.primary.answersPing(t, h.cfg.pingTimeout) {
			h.primary.failure(err)
			h.primary.breaker.Trip()
			h.trip(context.WithoutCancel(ctx), e, ReasonOutage, err)
		}
	}
	if h.era.Load().undialed() && h.probing.Load() == 0 {
		return h.notDialed(addr), nil
	}
	return nil, &dialError{err: err, era: e, node: true}
}

// answersAside reports a command that a ClusterClient asks all of its nodes for by itself, in a call
// that returns nil whatever they say: the error stands at the command.
func answersAside(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "dbsize", "script":
		return true
	}
	return false
}

// single is the closure for one call.
func (h *Hook) single(in *instance, next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !h.admitted.Load() {
			if err := h.admit(); err != nil {
				return err
			}
		}
		if !h.cluster.Load() || !answersAside(cmd) {
			return h.process(ctx, in, next, cmd)
		}
		err := h.process(ctx, in, func(ctx context.Context, sent redis.Cmder) error {
			err := next(ctx, sent)
			if err == nil {
				err = cmd.Err()
			}
			if o, ok := sent.(*once); ok && !errors.Is(err, errSpent) {
				o.written.Store(true) // by the nodes' own commands
			}
			return err
		}, cmd)
		cmd.SetErr(err) // what the closure returns is not looked at
		return err
	}
}
