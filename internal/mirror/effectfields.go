package mirror

import (
	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/command"
)

// fields adds what gave fields of a hash a deadline: HEXPIRE and its like, HSETEX and HGETEX.
func (e *effect) fields(key any) bool {
	var how unit
	if e.note.Opts.Has(command.Seconds) {
		how |= seconds
	}
	if e.note.Opts.Has(command.Relative) {
		how |= relative
	}
	at := int(e.note.At)
	deadline, ok := e.deadline(e.args[at], how)
	if !ok {
		return false
	}
	deadline = max(deadline, 0) // one below 0 is refused
	if e.note.Option == 0 {
		return e.fieldDeadlines(key, deadline)
	}
	e.ops.begin(Partial, e.db, key, len(e.args))
	for i, v := range e.args {
		switch i {
		case int(e.note.Option):
			e.ops.text("PXAT")
		case at:
			e.ops.integer(deadline)
		default:
			e.ops.arg(v)
		}
	}
	return true
}

// What HEXPIRE answers for a field.
const (
	fieldSet  = 1
	fieldGone = 2
)

// fieldDeadlines adds HEXPIRE and its like for those fields that the reply names, without a condition,
// which deadlines that are some ms earlier here might meet or not.
func (e *effect) fieldDeadlines(key any, deadline int64) bool {
	from := 0
	for i := 3; i < len(e.args); i++ {
		if word(e.args[i], "FIELDS") {
			from = i + 2
			break
		}
	}
	var replies []int64
	switch cmd := e.cmd.(type) {
	case *redis.IntSliceCmd:
		replies = cmd.Val()
	default:
		values, ok := manyOf(cmd)
		if !ok {
			return false
		}
		for _, v := range values {
			n, ok := v.(int64)
			if !ok {
				return false
			}
			replies = append(replies, n)
		}
	}
	if from == 0 || from+len(replies) != len(e.args) {
		return false
	}
	var set, gone int
	for _, n := range replies {
		switch n {
		case fieldSet:
			set++
		case fieldGone:
			gone++
		}
	}
	add := func(which int64) {
		for i, n := range replies {
			if n == which {
				e.ops.arg(e.args[from+i])
			}
		}
	}
	if set > 0 {
		e.ops.begin(Partial, e.db, key, set+5)
		e.ops.text("HPEXPIREAT")
		e.ops.arg(key)
		e.ops.integer(deadline)
		e.ops.text("FIELDS")
		e.ops.integer(int64(set))
		add(fieldSet)
	}
	if gone > 0 {
		e.ops.begin(Partial, e.db, key, gone+2)
		e.ops.text("HDEL")
		e.ops.arg(key)
		add(fieldGone)
	}
	return true
}
