package mirror

import (
	"math"

	"github.com/redis-fallback/fallback/internal/command"
)

func (e *effect) setDeadline() (int64, bool) {
	switch {
	case command.Is(e.args, "setex"):
		return e.deadline(e.args[2], seconds|relative)
	case command.Is(e.args, "psetex"):
		return e.deadline(e.args[2], relative)
	}
	return e.optionDeadline(3)
}

// optionDeadline finds EX, PX, EXAT or PXAT.
func (e *effect) optionDeadline(from int) (int64, bool) {
	for i := from; i+1 < len(e.args); i++ {
		switch {
		case word(e.args[i], "EX"):
			return e.deadline(e.args[i+1], seconds|relative)
		case word(e.args[i], "PX"):
			return e.deadline(e.args[i+1], relative)
		case word(e.args[i], "EXAT"):
			return e.deadline(e.args[i+1], seconds)
		case word(e.args[i], "PXAT"):
			return e.deadline(e.args[i+1], 0)
		}
	}
	return 0, false
}

// unit says how an expiry is given: in ms since 1970, but for what is said here.
type unit uint8

const (
	seconds unit = 1 << iota
	relative
)

// deadline returns an expiry in ms since 1970. What a server would take for an overflow is none.
func (e *effect) deadline(v any, u unit) (int64, bool) {
	n, ok := integerOf(v)
	if u&seconds != 0 {
		ok = ok && n < math.MaxInt64/1000 && n > math.MinInt64/1000
		n *= 1000
	}
	if u&relative != 0 {
		ok = ok && n < math.MaxInt64-e.at
		if n <= 0 {
			n = math.MinInt64 // the clocks do not matter
		} else {
			n += e.at
		}
	}
	return n, ok
}

// longPast is how long ago a deadline must be to have passed whatever the clocks of the primary and of local
// show. One that has passed by less may be to come on the primary: local is given it as it is, and lets the
// key expire without anything being known of it.
const longPast = 60_000

// past reports whether a deadline has passed on both servers.
func (e *effect) past(deadline int64) bool { return deadline < e.at-longPast }

// expire adds EXPIRE and its like, GETEX and PERSIST, which were applied.
func (e *effect) expire(key any) bool {
	if e.note.Opts.Has(command.Persist) {
		e.ops.Add(Partial, e.db, key, "PERSIST", key)
		return true
	}
	var deadline int64
	var ok bool
	switch {
	case command.Is(e.args, "expire"):
		deadline, ok = e.deadline(e.args[2], seconds|relative)
	case command.Is(e.args, "pexpire"):
		deadline, ok = e.deadline(e.args[2], relative)
	case command.Is(e.args, "expireat"):
		deadline, ok = e.deadline(e.args[2], seconds)
	case command.Is(e.args, "pexpireat"):
		deadline, ok = e.deadline(e.args[2], 0)
	default: // GETEX
		deadline, ok = e.optionDeadline(2)
	}
	switch {
	case !ok:
		return false
	case e.past(deadline):
		e.ops.Add(Gone, e.db, key)
		return true
	}
	e.ops.begin(Partial, e.db, key, 3)
	e.ops.text("PEXPIREAT")
	e.ops.arg(key)
	e.ops.integer(deadline)
	return true
}

// restore adds RESTORE key ttl payload with its options.
func (e *effect) restore(key any) bool {
	how := relative
	for _, v := range e.args[4:] {
		if word(v, "ABSTTL") {
			how = 0
		}
	}
	ttl, ok := integerOf(e.args[2])
	if !ok {
		return false
	}
	if ttl == 0 {
		e.ops.Add(Whole, e.db, key, "RESTORE", key, "0", e.args[3])
		return true
	}
	deadline, ok := e.deadline(e.args[2], how)
	switch {
	case !ok:
		return false
	case e.past(deadline):
		e.ops.Add(Gone, e.db, key)
		return true
	}
	e.ops.begin(Whole, e.db, key, 5)
	e.ops.text("RESTORE")
	e.ops.arg(key)
	e.ops.integer(deadline)
	e.ops.arg(e.args[3])
	e.ops.text("ABSTTL")
	return true
}
