package mirror

import (
	"math"

	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/command"
)

// streamAdd adds XADD with the id that it was given.
func (e *effect) streamAdd(key any) bool {
	id, ok := listOf(e.cmd)
	if !ok || id.len() != 1 || e.roughly(int(e.note.At)) {
		return false
	}
	e.ops.begin(Partial, e.db, key, len(e.args))
	for i, v := range e.args {
		if i == int(e.note.At) {
			v = id.at(0)
		}
		e.ops.arg(v)
	}
	return true
}

// roughly reports a stream that was trimmed with ~. How far depends on how the server has laid it out,
// and the reply does not say which entries are left.
func (e *effect) roughly(end int) bool {
	for i := 2; i+1 < end; i++ {
		if (word(e.args[i], "MAXLEN") || word(e.args[i], "MINID")) && word(e.args[i+1], "~") {
			return true
		}
	}
	return false
}

// readGroup adds, for each stream, the reading of as many entries as were read: of a stream that is the
// same they are the same, and with them all that the group keeps. XCLAIM, by which Redis replicates it,
// would leave out how many entries the group has read, and what a second look at pending ones changes.
func (e *effect) readGroup() bool {
	first, last := int(e.note.Key), int(e.note.Last)
	for i := first; i <= last; i++ {
		for j := first; j < i; j++ {
			if same(e.args[i], e.args[j]) {
				return false // the reply does not tell them apart
			}
		}
		n, ok := delivered(e.cmd, e.args[i])
		if !ok {
			return false
		}
		id := e.args[i+last-first+1]
		if n == 0 && word(id, ">") {
			continue
		}
		words := 9
		if e.note.Opts.Has(command.NoAck) {
			words++
		}
		e.ops.begin(Partial, e.db, e.args[i], words)
		e.ops.text("XREADGROUP")
		e.ops.text("GROUP")
		e.ops.arg(e.args[e.note.At])
		e.ops.arg(e.args[e.note.At+1])
		e.ops.text("COUNT")
		e.ops.integer(int64(max(n, 1))) // a look at no pending entry makes the consumer nevertheless
		if words > 9 {
			e.ops.text("NOACK")
		}
		e.ops.text("STREAMS")
		e.ops.arg(e.args[i])
		e.ops.arg(id)
	}
	return true
}

// delivered returns how many entries of a stream a reply has.
func delivered(cmd redis.Cmder, key any) (n int, ok bool) {
	switch cmd := cmd.(type) {
	case *redis.XStreamSliceCmd:
		for _, s := range cmd.Val() {
			if same(s.Stream, key) {
				return len(s.Messages), true
			}
		}
		return 0, true
	case *redis.Cmd:
		switch v := cmd.Val().(type) {
		case map[any]any: // RESP3
			for stream, entries := range v {
				if same(stream, key) {
					list, ok := entries.([]any)
					return len(list), ok
				}
			}
			return 0, true
		case []any:
			for _, s := range v {
				pair, ok := s.([]any)
				if !ok || len(pair) != 2 {
					return 0, false
				}
				if same(pair[0], key) {
					list, ok := pair[1].([]any)
					return len(list), ok
				}
			}
			return 0, true
		}
	}
	return 0, false
}

// never is a time for which no entry has been idle.
const never = math.MaxInt64

// claim adds XCLAIM and XAUTOCLAIM: what was claimed, whatever its idle time is here, and what the
// command did besides, which is to drop pending entries that the stream has no more. For that it is
// done again with an idle time that nothing has.
func (e *effect) claim(key any) bool {
	auto := command.Is(e.args, "xautoclaim")
	claimed, all, ok := claimedOf(e.cmd, auto)
	if !ok || auto && !all {
		return false // how far XAUTOCLAIM came is not known
	}
	var options []any
	switch {
	case !auto:
		ids := e.claimIDs()
		all = claimed.len() == ids
		options = e.args[5+ids:]
	case e.note.Opts.Has(command.JustID):
		options = []any{"JUSTID"}
	}
	if claimed.len() > 0 {
		words := 5 + claimed.len() + len(options)
		e.ops.begin(Partial, e.db, key, words)
		e.ops.text("XCLAIM")
		e.ops.arg(key)
		e.ops.arg(e.args[2])
		e.ops.arg(e.args[3])
		e.ops.integer(0)
		for i := range claimed.len() {
			e.ops.arg(claimed.at(i))
		}
		for _, v := range options {
			e.ops.arg(v)
		}
	}
	if auto || !all {
		e.ops.begin(Partial, e.db, key, len(e.args))
		for i, v := range e.args {
			if i == 4 {
				e.ops.integer(never)
				continue
			}
			e.ops.arg(v)
		}
	}
	return true
}

// claimIDs returns how many ids XCLAIM has: all up to the first option.
func (e *effect) claimIDs() int {
	for i, v := range e.args[5:] {
		for _, option := range [...]string{"IDLE", "TIME", "RETRYCOUNT", "FORCE", "JUSTID", "LASTID"} {
			if word(v, option) {
				return i
			}
		}
	}
	return len(e.args) - 5
}

// claimedOf returns the ids of the entries that were claimed. all says that XAUTOCLAIM came to the end.
func claimedOf(cmd redis.Cmder, auto bool) (ids list, all, ok bool) {
	next := ""
	switch cmd := cmd.(type) {
	case *redis.XMessageSliceCmd:
		ids = idsOf(cmd.Val())
		return ids, false, true
	case *redis.StringSliceCmd:
		return list{texts: cmd.Val()}, false, !auto
	case *redis.XAutoClaimCmd:
		var entries []redis.XMessage
		entries, next = cmd.Val()
		ids = idsOf(entries)
	case *redis.XAutoClaimWithDeletedCmd:
		var entries []redis.XMessage
		entries, next, _ = cmd.Val()
		ids = idsOf(entries)
	case *redis.XAutoClaimJustIDCmd:
		ids.texts, next = cmd.Val()
	default:
		v, ok := manyOf(cmd)
		if ok && auto {
			if len(v) < 2 {
				return ids, false, false
			}
			next, _ = v[0].(string)
			v, ok = v[1].([]any)
		}
		if !ok {
			return ids, false, false
		}
		for _, entry := range v {
			if pair, ok := entry.([]any); ok && len(pair) > 0 {
				entry = pair[0]
			}
			id, ok := entry.(string)
			if !ok {
				return ids, false, false
			}
			ids.texts = append(ids.texts, id)
		}
	}
	return ids, next == "0-0", true
}

func idsOf(entries []redis.XMessage) list {
	l := list{texts: make([]string, len(entries))}
	for i := range entries {
		l.texts[i] = entries[i].ID
	}
	return l
}
