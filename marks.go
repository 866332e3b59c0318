package fallback

import (
	"context"
	"errors"
	"slices"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// marks are the commands of a pipeline, each one a once. One mark is enough where a pipeline is one
// write on one connection; a ClusterClient makes a pipeline for each node of it, and repeats those
// that hold no mark. Each then tells for itself whether it was written.
type marks []once

// mark replaces the commands in part by marked ones. The slice that it returns is what stood there.
func mark(part []redis.Cmder) (marks, []redis.Cmder) {
	m, plain := make(marks, len(part)), slices.Clone(part)
	for i, cmd := range plain {
		m[i].Cmder = cmd
		if !command.Is(cmd.Args(), "himport") { // whose type go-redis looks at before it writes
			part[i] = &m[i]
		}
	}
	return m, plain
}

// unwritten reports that the i-th command was marked and was never asked for its arguments.
func (m marks) unwritten(i int) bool { return m != nil && !m[i].written.Load() }

// sendMarked makes one attempt on the primary with a pipeline that may go to several nodes.
func (b *batch) sendMarked(ctx context.Context, part []redis.Cmder) error {
	var plain []redis.Cmder
	b.marks, plain = mark(part)
	defer copy(part, plain)
	return b.next(ctx, part)
}

// again finds what of a part may be sent to local once more after err: what was refused for the
// moment, and what was never written. now says that nothing has to be waited for. Of a transaction
// that is all or nothing.
func (b *batch) again(part []redis.Cmder, m marks, err error) (redo []redis.Cmder, now bool) {
	now = true
	for i, cmd := range part {
		cerr := cmd.Err()
		if cerr == nil && !isReply(err) && firstErr(part) == nil {
			cerr = err // not one command has an error: it belongs to all of them
		}
		if cerr == nil {
			continue
		}
		switch v := Detect(cmd, cerr); {
		case errors.Is(cerr, wire.ErrStale):
		case v == Busy && !fromScript(cmd), v == Lost && m.unwritten(i):
			now = false
		default:
			continue
		}
		redo = append(redo, cmd)
	}
	if b.tx && len(redo) < len(part) {
		return nil, false
	}
	return redo, now
}
