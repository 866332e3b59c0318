package mirror

import (
	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/command"
)

// maxPart bounds the members of one command: a script hands it on.
const maxPart = 1000

// setPop adds SPOP: which members came out, only the reply says.
func (e *effect) setPop(key any) bool {
	members, ok := listOf(e.cmd)
	if !ok {
		return false
	}
	for from := 0; from < members.len(); from += maxPart {
		part := min(maxPart, members.len()-from)
		e.ops.begin(Partial, e.db, key, part+2)
		e.ops.text("SREM")
		e.ops.arg(key)
		for i := range part {
			e.ops.arg(members.at(from + i))
		}
	}
	return true
}

// pop adds the pop of as many elements as came out: from a key that is the same they are the same.
func (e *effect) pop(key any, head, tail string, popped func(redis.Cmder, bool) (any, int, bool)) bool {
	keyed := e.note.Opts.Has(command.Keyed)
	from, n, ok := popped(e.cmd, keyed)
	if !ok || n == 0 {
		return false
	}
	if keyed {
		if key, ok = e.keyLike(from); !ok {
			return false
		}
	}
	name := head
	if e.note.Opts.Has(command.Tail) {
		name = tail
	}
	e.ops.begin(Partial, e.db, key, 3)
	e.ops.text(name)
	e.ops.arg(key)
	e.ops.integer(int64(n))
	return true
}

// listMove adds LMOVE and its like: on the source a pop, on the destination a push.
func (e *effect) listMove(from any) bool {
	moved, ok := listOf(e.cmd)
	if !ok || moved.len() != 1 {
		return false
	}
	to := e.args[e.note.Last]
	pop, side, push, toSide := "LPOP", "LEFT", "LPUSH", "LEFT"
	if e.note.Opts.Has(command.Tail) {
		pop, side = "RPOP", "RIGHT"
	}
	if e.note.Opts.Has(command.ToTail) {
		push, toSide = "RPUSH", "RIGHT"
	}
	if same(from, to) { // one step, since a list of one element would be gone in between
		e.ops.Add(Partial, e.db, from, "LMOVE", from, from, side, toSide)
		return true
	}
	e.ops.Add(Partial, e.db, from, pop, from)
	e.ops.Add(Partial, e.db, to, push, to, moved.at(0))
	return true
}

// keyLike returns that of the command's keys which a reply named.
func (e *effect) keyLike(named any) (key any, ok bool) {
	for i := int(e.note.Key); i <= int(e.note.Last); i += int(e.note.Step) {
		if same(e.args[i], named) {
			return e.args[i], true
		}
	}
	return nil, false
}
