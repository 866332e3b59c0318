package journal

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ends are the last ids of streams on the primary, as far as this drain has come. An XADD whose id is not
// after the last one would be refused, which another program's entry there is enough for, or one of a
// process that had not yet heard of the trip. It gets an id of the primary's then, and so do all that
// follow on that stream, or they would come before it: sending only it again, with another id, was tried
// and put it behind its successors.
type ends map[place]*end

type end struct {
	last   ID
	anew   bool // its entries get new ids
	cmd    *redis.SliceCmd
	closed bool // it could not be read: the primary says of each entry what it thinks
}

// streamIDs looks at the streams that a batch adds to, and gives its entries ids that the primary takes.
func (w *work) streamIDs(ctx context.Context, commands []command) error {
	var missing []place
	for i := range commands {
		c := &commands[i]
		if !strings.EqualFold(c.args[0], "xadd") {
			continue
		}
		at := place{c.db, c.args[1]}
		if w.ends[at] == nil {
			if w.ends == nil {
				w.ends = ends{}
			}
			w.ends[at] = &end{}
			missing = append(missing, at)
		}
	}
	if len(missing) > 0 {
		if err := w.readEnds(ctx, missing); err != nil {
			return err
		}
	}
	var unlike []place
	for i := range commands {
		c := &commands[i]
		switch strings.ToLower(c.args[0]) {
		case "xadd":
			at := place{c.db, c.args[1]}
			if w.ends[at].next(w, c) {
				unlike = append(unlike, at)
			}
		case "del", "unlink":
			for _, key := range c.args[1:] {
				w.ends.reset(place{c.db, key}, false)
			}
		case "flushdb", "flushall":
			for at := range w.ends {
				w.ends.reset(at, false)
			}
		case "rename", "copy", "restore", "move", "xsetid":
			for _, key := range c.args[1:] {
				w.ends.reset(place{c.db, key}, true)
			}
		}
	}
	return w.drain.Store.unlike(ctx, unlike)
}

// reset forgets what is known of a stream that begins anew, or of which nothing is known any more.
func (e ends) reset(at place, unknown bool) {
	if known := e[at]; known != nil {
		*known = end{closed: unknown}
	}
}

// next gives an entry of the stream its id, and reports that it is the first that is not local's.
func (e *end) next(w *work, c *command) bool {
	was, i := e.anew, idOfAdd(c.args)
	if i < 0 { // the primary gives it one, which is after all that local gave
		e.anew = true
	}
	if i < 0 || e.closed {
		return !was
	}
	if strings.HasSuffix(c.args[i], "-*") {
		e.closed = true // which one it gets is not known here
		return true
	}
	id := ParseID(c.args[i])
	if !e.anew && id.After(e.last) {
		e.last = id
		return false
	}
	e.anew = true
	args := append([]string(nil), c.args...) // what was read ahead stays as it is
	args[i] = "*"
	c.args = args
	w.progress.Renumbered++
	return !was
}

// readEnds asks the primary, on a connection of the pool: that of the drain may be within MULTI.
func (w *work) readEnds(ctx context.Context, missing []place) error {
	conn := w.drain.Primary.Conn()
	defer func() { _ = conn.Close() }()
	pipe := conn.Pipeline()
	home := w.drain.home()
	for _, at := range missing {
		if at.db != "" {
			pipe.Do(ctx, "select", at.db)
		}
		w.ends[at].cmd = redis.NewSliceCmd(ctx, "xrevrange", at.key, "+", "-", "count", 1)
		_ = pipe.Process(ctx, w.ends[at].cmd)
		if at.db != "" {
			pipe.Do(ctx, "select", home)
		}
	}
	w.link.spent += int64(len(missing))
	if _, err := pipe.Exec(ctx); err != nil {
		if _, reply := err.(redis.Error); !reply { //nolint:errorlint // as go-redis returns it
			return err
		}
		if w.drain.refuses(err) {
			return w.link.judge("XREVRANGE", err)
		}
	}
	for _, at := range missing {
		e := w.ends[at]
		e.closed = e.cmd.Err() != nil
		if list := e.cmd.Val(); len(list) > 0 {
			if entry, ok := list[0].([]any); ok && len(entry) > 0 {
				id, _ := entry[0].(string)
				e.last = ParseID(id)
			}
		}
		e.cmd = nil
	}
	return nil
}

// idOfAdd is where an XADD has its id, -1 if it gives none of its own.
func idOfAdd(args []string) int {
	i := 2
	for i < len(args) {
		switch strings.ToLower(args[i]) {
		case "nomkstream", "keepref", "delref", "acked":
			i++
			continue
		case "maxlen", "minid", "limit":
			if i+1 < len(args) && (args[i+1] == "~" || args[i+1] == "=") {
				i++
			}
			i += 2
			continue
		}
		break
	}
	if i >= len(args) || args[i] == "*" {
		return -1
	}
	return i
}
