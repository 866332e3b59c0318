package mirror

import (
	"bytes"
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
	case whole:
		o.Add(Whole, e.db, key, "SET", key, e.args[e.note.At])
		return true
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
		// Done again, and not set, since that would end the field's expiry: servers agree on short sums.
		if text, ok := e.short(); !ok || len(text) > maxSum {
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

// maxSum is the length up to which the text of a sum is the same on every server: they count with at
// least 15 digits.
const maxSum = 15

// short returns a reply that is a float as text. A FloatCmd has forgotten how the server wrote it,
// which may be with more digits than a float64 has: what is not short is not taken for the same.
func (e *effect) short() (string, bool) {
	switch cmd := e.cmd.(type) {
	case *redis.Cmd:
		text, ok := cmd.Val().(string)
		return text, ok
	case *redis.StringCmd:
		return cmd.Val(), cmd.Val() != ""
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
