package fallback

import (
	"context"
	"net"
	"sync/atomic"

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
// Watch and Pub/Sub stay on the primary, and so does what is asked of a node's client, as in
// ForEachMaster. With AddToCluster a Watch is refused while local serves, and connections of Pub/Sub
// are watched like any other.
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
// follow its slots.
//
// Its sets of closures are not linked, as those of a plain client are: the cluster builds a single
// pipeline closure for every pipeline, beside the sets. So a Tx on a node is known by its process
// closure alone, whose instance is where the session logic of Watch would begin.
type nodeHook struct {
	h     *Hook
	added atomic.Bool // the sets that are built from now on are not the client's own
}

// DialHook watches connections as on a plain client.
func (n *nodeHook) DialHook(next redis.DialHook) redis.DialHook { return n.h.dialing(next, nil) }

// ProcessHook sees the set-up of connections, and WATCH.
func (n *nodeHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	if !n.added.Load() {
		return next
	}
	in := &instance{}
	return func(ctx context.Context, cmd redis.Cmder) error {
		if in.handshake.Load() {
			return n.h.session(ctx, in, next, cmd)
		}
		switch cmd.Name() {
		case "hello", "auth", "client", "watch", "unwatch":
			return n.h.session(ctx, in, next, cmd)
		}
		err := next(ctx, cmd)
		if err != nil && in.armed.Load() {
			return n.h.plain(n.h.era.Load(), err)
		}
		return err
	}
}

// ProcessPipelineHook passes pipelines.
func (*nodeHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
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
		return notDialed{addr}, nil
	}
	return nil, &dialError{err: err, node: true}
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
		if !answersAside(cmd) {
			return h.process(ctx, in, next, cmd)
		}
		err := h.process(ctx, in, func(ctx context.Context, sent redis.Cmder) error {
			if o, ok := sent.(*once); ok {
				o.written.Store(true) // by the nodes' own commands
			}
			if err := next(ctx, sent); err != nil {
				return err
			}
			return cmd.Err()
		}, cmd)
		cmd.SetErr(err) // what the closure returns is not looked at
		return err
	}
}
