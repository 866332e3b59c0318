package command

import (
	"strconv"
	"time"
)

// HarmlessTwice reports whether running the command a second time leaves the same state and gives
// the same reply, so that a call whose reply was lost may be sent again. class is Of(args).
//
// A second SADD, DEL, HSETNX or SET NX leaves the same state, but tells the caller that it was not
// the first: these are not harmless. Nor is what is not known.
func HarmlessTwice(class Class, args []any) bool {
	switch {
	case class.Has(Read):
		return true
	case class == Blind && len(args) == 3: // SET key value, or MSET with one pair
		return true
	case class.Any(Blocking | Session | Admin | Script | Deletes):
		return false
	case class.Any(Blind | Judged):
		return judge(args)
	}
	return false
}

// Effect is how a command stands to its neighbours when a pipeline is sent twice.
type Effect uint8

const (
	// Once must not be sent twice at all.
	Once Effect = iota
	// Looks depends on the state before it, in its reply or in what it leaves.
	Looks
	// Overwrites does not.
	Overwrites
	// Reads only reads.
	Reads
)

// EffectOf returns the Effect of one command; class is Of(args).
func EffectOf(class Class, args []any) Effect {
	switch {
	case class.Has(Read):
		return Reads
	case class == Blind && len(args) == 3: // SET key value
		return Overwrites
	case !HarmlessTwice(class, args):
		return Once
	case class.Has(Blind) && !keepsState(args):
		return Overwrites
	}
	return Looks
}

// Repeat judges a pipeline, command by command: harmless one by one is not yet harmless together.
// In "GET k, SET k 2" the second GET would see the first SET. So nothing may write after something
// that looked at the state; writes that overwrite, followed by reads, are safe.
type Repeat struct{ looked, no bool }

// Add takes the next command of the pipeline.
func (r *Repeat) Add(class Class, args []any) {
	if r.no {
		return
	}
	e := EffectOf(class, args)
	if e == Once || r.looked && e != Reads {
		r.no = true
	}
	if e != Overwrites {
		r.looked = true
	}
}

// Harmless reports whether all that was added may be sent twice, in the order it was added.
func (r *Repeat) Harmless() bool { return !r.no }

func judge(args []any) bool {
	name := Name(args)
	var low [longestName]byte
	n, ok := lower(low[:], name)
	if !ok {
		return false
	}
	switch string(low[:n]) {
	case "set":
		return setTwice(args)
	case "mset", "hmset", "setrange", "lset", "pfmerge", "xsetid", "script":
		return true
	case "setex", "psetex":
		return positive(arg(args, 2))
	case "expire", "pexpire":
		return expireTwice(args) && positive(arg(args, 2))
	case "expireat":
		return expireTwice(args) && later(arg(args, 2), time.Second)
	case "pexpireat":
		return expireTwice(args) && later(arg(args, 2), time.Millisecond)
	case "getex":
		return getexTwice(args)
	case "ltrim":
		// 0..n keeps a head, -n..-1 keeps a tail; any other range moves with each cut.
		from, ok1 := number(arg(args, 2))
		to, ok2 := number(arg(args, 3))
		return ok1 && ok2 && (from == 0 && to >= 0 || from <= 0 && to == -1)
	case "copy":
		return hasOption(args, 3, "replace") && !sameText(arg(args, 1), arg(args, 2))
	case "restore":
		return hasOption(args, 4, "replace")
	case "function":
		return foldEqual(textOf(arg(args, 2)), "replace")
	case "zadd":
		return zaddTwice(args)
	case "sinterstore", "sunionstore", "sdiffstore", "zrangestore", "geosearchstore":
		return destinationApart(args, 1, 2)
	case "zinterstore", "zunionstore", "zdiffstore":
		return destinationApart(args, 1, 3)
	case "bitop":
		return destinationApart(args, 2, 3)
	case "sort", "georadius", "georadiusbymember":
		return !hasOption(args, 2, "store") && !hasOption(args, 2, "storedist")
	case "bitfield":
		return !hasOption(args, 2, "set") && !hasOption(args, 2, "incrby")
	}
	return false
}

// setTwice walks the options of SET. NX tells who was first, GET what was there before.
func setTwice(args []any) bool {
	for i := 3; i < len(args); i++ {
		o, ok := text(args[i])
		switch {
		case !ok:
			return false
		case foldEqual(o, "xx"), foldEqual(o, "keepttl"):
		case foldEqual(o, "ex"), foldEqual(o, "px"), foldEqual(o, "exat"), foldEqual(o, "pxat"):
			i++
		default:
			return false
		}
	}
	return true
}

// keepsState reports whether a SET depends on what is there: XX on existence, KEEPTTL on the expiry.
func keepsState(args []any) bool {
	return foldEqual(Name(args), "set") && (hasOption(args, 3, "xx") || hasOption(args, 3, "keepttl"))
}

// zaddTwice walks the options, which stand before the first score. Only with XX, and without CH and
// INCR, is the reply, the number of new members, 0 each time.
func zaddTwice(args []any) bool {
	xx := false
	for i := 2; i < len(args); i++ {
		o := textOf(args[i])
		switch {
		case foldEqual(o, "xx"):
			xx = true
		case foldEqual(o, "gt"), foldEqual(o, "lt"):
		case foldEqual(o, "nx"), foldEqual(o, "ch"), foldEqual(o, "incr"):
			return false
		default:
			return xx
		}
	}
	return false
}

func expireTwice(args []any) bool {
	// After NX, GT or LT the second call finds the expiry that the first one set, and says 0.
	return !hasOption(args, 3, "nx") && !hasOption(args, 3, "gt") && !hasOption(args, 3, "lt")
}

func getexTwice(args []any) bool {
	if len(args) < 3 {
		return true
	}
	o := textOf(args[2])
	switch {
	case foldEqual(o, "persist"):
		return true
	case foldEqual(o, "ex"), foldEqual(o, "px"):
		return positive(arg(args, 3))
	case foldEqual(o, "exat"):
		return later(arg(args, 3), time.Second)
	case foldEqual(o, "pxat"):
		return later(arg(args, 3), time.Millisecond)
	}
	return false
}

// destinationApart reports that no argument from position from on is the destination's key: a
// result written over one of its own sources would be computed from itself the second time.
func destinationApart(args []any, dest, from int) bool {
	for i := from; i < len(args); i++ {
		if sameText(arg(args, dest), args[i]) {
			return false
		}
	}
	return len(args) > from
}

func hasOption(args []any, from int, option string) bool {
	for i := from; i < len(args); i++ {
		if o, ok := text(args[i]); ok && foldEqual(o, option) {
			return true
		}
	}
	return false
}

func arg(args []any, i int) any {
	if i < len(args) {
		return args[i]
	}
	return nil
}

func text(v any) (string, bool) {
	s, ok := v.(string)
	return s, ok
}

func textOf(v any) string {
	s, _ := text(v)
	return s
}

// sameText compares two keys. What is not plain text is taken to be the same: the careful answer.
func sameText(a, b any) bool {
	s, ok1 := text(a)
	t, ok2 := text(b)
	return !ok1 || !ok2 || s == t
}

func number(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil
	}
	return 0, false
}

func positive(v any) bool {
	n, ok := number(v)
	return ok && n > 0
}

// later reports that a deadline, counted in units since 1970, is still more than a minute away: one
// that passes between the two calls would answer 1 and then 0.
func later(v any, unit time.Duration) bool {
	n, ok := number(v)
	return ok && n > int64(time.Duration(time.Now().Add(time.Minute).UnixNano())/unit)
}
