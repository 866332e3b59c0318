package journal

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Names and their delivery.
//
// An entry that is a key's name stands for what was written to the key up to the moment at which the entry
// is marked: a write after that adds another one. So the state of a key is read after its mark, and may be
// newer than its entry, or delivered twice; in the end it is the last one. Nothing but names of a key may
// stand behind the first one, which lua/write.lua sees to.

//go:embed lua/content.lua
var contentLua string

//go:embed lua/again.lua
var againLua string

var (
	contentScript = redis.NewScript(contentLua)
	againScript   = redis.NewScript(againLua)
)

// NameName is the name of a command that stands for the state of its key. Behind the key is the number of
// local's database that it is in.
const NameName = "!name"

// ErrUnheard ends a delivery of names while a process uses the primary yet: its writes would be replaced.
var ErrUnheard = errors.New("redis fallback: a process has not heard yet that local serves, and may write to the primary; keys are copied once it has, or is gone")

// errForgotten is about a name whose journal is over: what local has of the key since is another thing.
var errForgotten = errors.New("redis fallback: the primary has lost this key's state, and local has it no more: it was delivered by its name, before the last return")

const (
	// namesAtOnce and bytesAtOnce bound how many keys are read ahead of their delivery, and itemsAtOnce what
	// one script reads of them; but that what the first entry names is read whole.
	namesAtOnce = 200
	bytesAtOnce = 1 << 22
	itemsAtOnce = 10_000
)

// name is a key whose state stands for its writes, and the entry that it is in.
type name struct {
	db, local, key string
	entry          ID
}

func namesOf(e *Entry) (all []name) {
	if e.Kind != KindName || e.bad != nil {
		return nil
	}
	for _, args := range e.Commands {
		if len(args) == 3 && args[0] == NameName {
			all = append(all, name{e.DB, args[2], args[1], e.ID})
		}
	}
	return all
}

// written returns the entry as what it stands for, where it is a name.
func (w *work) written(ctx context.Context, e *Entry, taken int) (*Entry, error) {
	if e.Kind != KindName || e.bad != nil {
		return e, nil
	}
	if known := w.contents[e.ID]; known != nil {
		return known, nil
	}
	w.contents = make(map[ID]*Entry)
	if e.ID.Compare(w.record.Begun) < 0 {
		lost := &Entry{ID: e.ID, Kind: e.Kind, DB: e.DB, Commands: e.Commands, bad: errForgotten}
		w.contents[e.ID] = lost
		return lost, nil
	}
	var all []name
	entries := []*Entry{}
	for i := taken; i < len(w.read.entries) && (i == taken || len(all) < namesAtOnce); i++ {
		if one := &w.read.entries[i]; one.Kind == KindName && one.bad == nil {
			entries = append(entries, one)
			all = append(all, namesOf(one)...)
		}
	}
	if err := w.hold(ctx, entries[len(entries)-1].ID); err != nil {
		return nil, err
	}
	contents, err := w.content(ctx, all, len(namesOf(e)))
	if err != nil {
		return nil, err
	}
	for _, one := range entries {
		n := len(namesOf(one))
		if n > len(contents) {
			break
		}
		full := &Entry{ID: one.ID, Kind: one.Kind, DB: one.DB}
		for i := range contents[:n] {
			contents[i].write(full)
		}
		contents = contents[n:]
		w.contents[one.ID] = full
	}
	return w.contents[e.ID], nil
}

// hold makes sure that what is read of names up to an id may be delivered.
func (w *work) hold(ctx context.Context, upto ID) error {
	if w.estimates {
		return nil
	}
	fleet, err := w.drain.Store.Tick(ctx, nil, Limits{})
	if err != nil {
		return err
	}
	for i := range fleet.Processes {
		if fleet.Processes[i].Serving == Primary {
			return fmt.Errorf("%w: %w", errStop, ErrUnheard)
		}
	}
	return w.mark(ctx, w.record, upto)
}

// content is what local has of a key.
type content struct {
	key, kind string
	deadline  int64
	text      string
	items     []string
}

// content reads keys of local, each in one step: some of the first ones, and least of them at least.
func (w *work) content(ctx context.Context, names []name, least int) ([]content, error) {
	all, bytes := make([]content, 0, len(names)), 0
	for len(all) < least || len(all) < len(names) && bytes < bytesAtOnce {
		args := []any{itemsAtOnce}
		for _, n := range names[len(all):] {
			args = append(args, n.local, n.key)
		}
		reply, err := contentScript.Run(ctx, w.drain.Store.rdb, nil, args...).Slice()
		if err != nil {
			return nil, fmt.Errorf("redis fallback: a key of local cannot be read: %w", err)
		}
		if len(reply) == 0 || len(reply) > len(names)-len(all) {
			return nil, errReply
		}
		for _, v := range reply {
			c, ok := parseContent(names[len(all)].key, v)
			if !ok {
				return nil, errReply
			}
			all = append(all, c)
			bytes += len(c.text) + size(c.items)
		}
	}
	return all, nil
}

func parseContent(key string, v any) (content, bool) {
	c := content{key: key}
	list, ok := v.([]any)
	if !ok || len(list) != 3 {
		return c, false
	}
	kind, ok1 := list[0].(string)
	deadline, ok2 := list[1].(int64)
	c.kind, c.deadline = kind, deadline
	switch v := list[2].(type) {
	case string:
		c.text = v
	case []any:
		c.items = make([]string, len(v))
		for i := range v {
			if c.items[i], ok = v[i].(string); !ok {
				return c, false
			}
		}
	default:
		return c, false
	}
	return c, ok1 && ok2
}

// makers make a key out of its items. Each type by its own command, since a RESTORE needs a server that
// reads the dump of another version; it is left for what has no such command.
var makers = map[string]string{"list": "rpush", "set": "sadd", "hash": "hset", "zset": "zadd"}

// write adds the commands that make the key what it is.
func (c *content) write(e *Entry) {
	add := func(args ...string) { e.Commands = append(e.Commands, args) }
	switch maker := makers[c.kind]; {
	case c.kind == "none":
		add("del", c.key)
	case c.kind == "string":
		add("set", c.key, c.text)
	case maker == "":
		add("restore", c.key, "0", c.text, "REPLACE")
	default:
		add("del", c.key)
		pairs := c.items
		if c.kind == "zset" { // ZRANGE has the score behind its member
			pairs = make([]string, len(c.items))
			for i := 0; i+1 < len(pairs); i += 2 {
				pairs[i], pairs[i+1] = c.items[i+1], c.items[i]
			}
		}
		for len(pairs) > 0 {
			n := min(len(pairs), maxArguments-2)
			add(append([]string{maker, c.key}, pairs[:n]...)...)
			pairs = pairs[n:]
		}
	}
	if c.deadline >= 0 {
		e.Deadlines = append(e.Deadlines, Deadline{Command: len(e.Commands) - 1, Arg: 1, Ms: c.deadline})
	}
}

// again writes names down once more.
func (w *work) again(ctx context.Context, names []name) error {
	s := w.drain.Store
	for len(names) > 0 {
		n := min(len(names), namesAtOnce)
		args := []any{w.record.ID, strconv.FormatUint(w.record.Epoch, 10)}
		for _, one := range names[:n] {
			args = append(args, one.db, one.local, one.key)
		}
		done, err := againScript.Run(ctx, s.rdb, []string{s.state(), s.stream(), s.names()}, args...).Int()
		if err != nil {
			return err
		}
		if done == 0 {
			return errChanged
		}
		names = names[n:]
	}
	return nil
}
