package mirror

import (
	"bytes"
	"math"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/command"
)

// verbatim adds a command as it is, or by its manner.
func (e *effect) verbatim(key any) bool {
	o := e.ops
	switch mannerOf(command.Name(e.args)) {
	case counted:
		if n, ok := number(e.cmd); ok && n == 0 {
			return true
		}
	case stored:
		n, ok := number(e.cmd)
		if ok && n == 0 {
			o.Add(Gone, e.db, key)
		}
		return ok && n == 0
	case doubtful:
		return false
	case deleted:
		for i := int(e.note.Key); i <= int(e.note.Last); i++ {
			o.Add(Gone, e.db, e.args[i])
		}
		return true
	case pushed:
		// A list is never empty: one that is as long as what was pushed was not there before.
		if n, ok := number(e.cmd); ok && n == int64(len(e.args)-2) {
			o.Add(Whole, e.db, key, e.args...)
			return true
		}
	case eachSet:
		return e.each("SET", Whole, 2)
	case eachJSON:
		return e.each("JSON.SET", Partial, 3)
	case renamed:
		return e.rename()
	case moved:
		o.unsure(e.db, e.args)
		o.Add(Gone, e.db, key)
		return true
	case memberMoved:
		if same(key, e.args[2]) {
			return true
		}
		o.Add(Partial, e.db, key, "SREM", key, e.args[3])
		o.Add(Partial, e.db, e.args[2], "SADD", e.args[2], e.args[3])
		return true
	case emptied:
		o.Add(Flush, e.db, "")
		return true
	case float:
		return e.float(key)
	case fieldFloat:
		if _, ok := e.short(); !ok {
			return false
		}
	case trimmed:
		if n, ok := number(e.cmd); ok && n == 0 {
			return true
		}
		if e.roughly(len(e.args)) {
			return false
		}
	case verbatim:
	}
	o.Add(Partial, e.db, key, e.args...)
	return true
}

// each adds a command of its own for each key, with what stands at it and behind it.
func (e *effect) each(name string, kind Kind, step int) bool {
	for i := 1; i+step <= len(e.args); i += step {
		e.ops.begin(kind, e.db, e.args[i], step+1)
		e.ops.text(name)
		for _, v := range e.args[i : i+step] {
			e.ops.arg(v)
		}
	}
	return true
}

// rename says nothing of a key that was given its own name.
func (e *effect) rename() bool {
	if !same(e.args[1], e.args[2]) {
		e.ops.Add(Rename, e.db, e.args[1], e.args[2])
	}
	return true
}

// count adds INCR and the like: the number that came back. Going up, the highest of several is right.
func (e *effect) count(key any) bool {
	if command.Is(e.args, "hincrby") {
		e.ops.Add(Partial, e.db, key, e.args...)
		return true
	}
	n, ok := number(e.cmd)
	if !ok {
		return false
	}
	kind := Partial
	switch {
	case command.Is(e.args, "incr"):
		kind = Count
	case command.Is(e.args, "incrby"):
		if by, ok := integerOf(e.args[2]); ok && by > 0 {
			kind = Count
		}
	}
	e.ops.begin(kind, e.db, key, 4)
	e.ops.text("SET")
	e.ops.arg(key)
	e.ops.integer(n)
	e.ops.text("KEEPTTL")
	return true
}

// float adds INCRBYFLOAT: the number that came back, since servers do not agree on the last digits.
func (e *effect) float(key any) bool {
	text, ok := e.short()
	if ok {
		e.ops.Add(Partial, e.db, key, "SET", key, text, "KEEPTTL")
	}
	return ok
}

// short returns a reply that is a float as text. A FloatCmd has forgotten how the server wrote it,
// which may be with more digits than a float64 has: what is not short is not taken for the same.
func (e *effect) short() (string, bool) {
	switch cmd := e.cmd.(type) {
	case *redis.Cmd:
		text, ok := cmd.Val().(string)
		return text, ok
	case *redis.StringCmd:
		return cmd.Val(), true
	case *redis.FloatCmd:
		v := cmd.Val()
		text := strconv.FormatFloat(v, 'f', -1, 64)
		exact, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 15, 64), 64)
		return text, err == nil && exact == v
	}
	return "", false
}

// set adds SET with options, SETNX, GETSET, SETEX and PSETEX, which were applied.
func (e *effect) set(key any) bool {
	value := e.args[e.note.At]
	switch {
	case e.note.Opts.Has(command.Expires):
		deadline, ok := e.setDeadline()
		if !ok {
			return false
		}
		if e.past(deadline) {
			e.ops.Add(Gone, e.db, key)
			return true
		}
		e.ops.begin(Whole, e.db, key, 5)
		e.ops.text("SET")
		e.ops.arg(key)
		e.ops.arg(value)
		e.ops.text("PXAT")
		e.ops.integer(deadline)
	case e.note.Opts.Has(command.KeepTTL) && !e.note.Opts.Has(command.NX):
		e.ops.Add(Partial, e.db, key, "SET", key, value, "KEEPTTL")
	default:
		e.ops.Add(Whole, e.db, key, "SET", key, value)
	}
	return true
}

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

// skew is by how much the clocks of the primary and of local may differ. A deadline that has passed by
// less may be to come on the primary: local is given it as it is, and lets the key expire without
// anything being known of it.
const skew = 60_000

// past reports whether a deadline has passed on both servers.
func (e *effect) past(deadline int64) bool { return deadline < e.at-skew }

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

// same reports whether two arguments are the same text.
func same(a, b any) bool {
	s, ok1 := a.(string)
	t, ok2 := b.(string)
	if ok1 && ok2 {
		return s == t
	}
	return bytes.Equal(AppendArg(nil, a), AppendArg(nil, b))
}

// word reports whether an argument is a word, given in upper case.
func word(v any, upper string) bool {
	switch v := v.(type) {
	case string:
		return foldEqual(v, upper)
	case []byte:
		return foldEqual(string(v), upper)
	}
	return false
}

func foldEqual(s, upper string) bool {
	if len(s) != len(upper) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}
