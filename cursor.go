package fallback

import (
	"context"
	"strconv"
	"sync"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/wire"
	"github.com/redis/go-redis/v9"
)

// cursors are those that a server has given since it began to serve. A cursor means nothing on the
// other server, which takes any number for one of its own and leaves out what it thinks has been seen.
//
// Before the first switch every cursor is the primary's, and nothing is kept.
type cursors struct {
	mu        sync.Mutex
	new, old  map[cursor]struct{}
	unlimited bool // of the first term
}

type cursor struct {
	key string // "" for SCAN
	n   uint64
}

// mostCursors bounds what is kept: scans that are further behind must begin again too.
const mostCursors = 32768

func (c *cursors) put(k cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.new) >= mostCursors {
		c.old, c.new = c.new, nil
	}
	if c.new == nil {
		c.new = map[cursor]struct{}{}
	}
	c.new[k] = struct{}{}
}

func (c *cursors) has(k cursor) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, inNew := c.new[k]
	_, inOld := c.old[k]
	return inNew || inOld
}

// cursorOf returns the cursor that a command goes on from; 0 begins.
func cursorOf(args []any) (k cursor, ok bool) {
	at := 2
	if command.Is(args, "scan") {
		at = 1
	}
	if len(args) <= at {
		return k, false
	}
	if at == 2 {
		k.key, _ = args[1].(string)
	}
	switch n := args[at].(type) {
	case uint64:
		k.n = n
	case int:
		k.n = uint64(n) //nolint:gosec // a cursor
	case int64:
		k.n = uint64(n) //nolint:gosec // a cursor
	case string:
		v, err := strconv.ParseUint(n, 10, 64)
		if err != nil {
			return k, false
		}
		k.n = v
	default:
		return k, false
	}
	return k, true
}

// cursorFrom returns the cursor in a command's reply.
func cursorFrom(cmd redis.Cmder) (uint64, bool) {
	var text string
	switch cmd := cmd.(type) {
	case *redis.ScanCmd:
		_, n := cmd.Val()
		return n, true
	case *redis.Cmd:
		if parts, ok := cmd.Val().([]any); ok && len(parts) == 2 {
			text, _ = parts[0].(string)
		}
	case *redis.RawCmd:
		if parts := wire.Elements(cmd.Val()); len(parts) > 0 {
			text = string(parts[0])
		}
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil
}

// foreign reports a command that goes on from a cursor which the server of this era has not given.
func (e *era) foreign(class command.Class, cmd redis.Cmder) bool {
	if !class.Has(command.Cursor) || e.cursors.unlimited {
		return false
	}
	k, ok := cursorOf(cmd.Args())
	return ok && k.n != 0 && !e.cursors.has(k)
}

// remember keeps the cursor that the server of this era has given.
func (e *era) remember(class command.Class, cmd redis.Cmder) {
	if !class.Has(command.Cursor) || e.cursors.unlimited {
		return
	}
	k, ok := cursorOf(cmd.Args())
	if n, given := cursorFrom(cmd); ok && given && n != 0 { // 0 is the end, and nobody goes on from there
		k.n = n
		e.cursors.put(k)
	}
}

// scan takes a command with a cursor.
func (h *Hook) scan(ctx context.Context, c *call) error {
	e := h.era.Load()
	if e.foreign(c.class, c.cmd) {
		return ErrRestartScan
	}
	err := h.run(ctx, c)
	if err == nil {
		// Which server has answered is known only if none came after it; local remembers its own.
		if h.era.Load().term == e.term && e.serving == Primary {
			e.remember(c.class, c.cmd)
		}
	}
	return err
}

// dropForeign gives the commands of a batch that go on from a cursor of the other server their error,
// and returns the rest. A transaction that holds one does not run.
func (h *Hook) dropForeign(e *era, b *batch, part []redis.Cmder) []redis.Cmder {
	if e.cursors.unlimited {
		return part
	}
	rest := part
	for i, cmd := range part {
		switch bad := e.foreign(command.Of(cmd.Args()), cmd); {
		case bad && b.tx:
			_ = h.failBatch(b, ErrRestartScan)
			return nil
		case bad:
			if len(rest) == len(part) {
				rest = append(make([]redis.Cmder, 0, len(part)), part[:i]...)
			}
			cmd.SetErr(ErrRestartScan)
		case len(rest) != len(part):
			rest = append(rest, cmd)
		}
	}
	return rest
}

// rememberAll keeps the cursors in the replies of a batch.
func (e *era) rememberAll(part []redis.Cmder) {
	if e.cursors.unlimited {
		return
	}
	for _, cmd := range part {
		if class := command.Of(cmd.Args()); class.Has(command.Cursor) && cmd.Err() == nil {
			e.remember(class, cmd)
		}
	}
}
