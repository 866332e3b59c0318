package journal

import (
	"errors"
	"strconv"
	"strings"
)

// verdict is what came of a command. The zero verdict is that it has run, or that it does not matter.
type verdict struct {
	err   error
	doubt bool // it may have run
	anew  bool // it did not, and the same with an id of the primary's is to be sent
}

const lostReply = " (found out afterwards: the reply of its transaction was lost)"

func failed(text string) verdict { return verdict{err: errors.New(text + lostReply)} }

func doubtful(text string) verdict {
	return verdict{err: errors.New("it cannot be told whether it ran, " + text + ": the reply of its transaction was lost"), doubt: true}
}

// judge calls tell for each command of an entry of which there is something to tell.
func (q *inquiry) judge(e *Entry, tell func(index int, v verdict)) {
	db := e.DB
	if db == q.home {
		db = ""
	}
	for i, args := range e.Commands {
		q.at++
		var v verdict
		switch {
		case e.bad != nil: // it was never sent
			v.err = e.bad
		case q.missing[db] != nil:
			v.err = q.missing[db]
		case q.refused(e, args) != nil:
			v.err = q.refused(e, args)
		default:
			v = q.judgeOne(e.DB, strings.ToLower(args[0]), args)
		}
		if v.err != nil {
			tell(i, v)
		}
	}
}

func (q *inquiry) judgeOne(db, name string, args []string) (v verdict) {
	if name == "flushdb" || name == "flushall" || name == "swapdb" {
		return v
	}
	uses, sure := usesOf(db, name, args)
	if !sure {
		return doubtful("for only its reply tells")
	}
	for _, u := range uses {
		t := q.trace(u.at)
		switch {
		case u.doing == doesNeed:
			found := q.judgeKey(t, u, name, args)
			if from := q.trace(uses[0].at); name == "smove" && found.err != nil && t != from &&
				(q.at <= from.since || from.kind != "set" || from.there) {
				found = doubtful("for of a set that is not there nothing is moved, whatever the other key is")
			}
			if v.err == nil || v.doubt && found.err != nil {
				v = found
			}
		case u.doing == doesTaint && (t.since == q.at || q.at <= t.read):
			v = q.judgeMade(t, name, v)
		}
	}
	return v
}

// judgeMade tells of a command that makes a key out of something else, or replaces it, what came of it.
func (q *inquiry) judgeMade(t *trace, name string, v verdict) verdict {
	rename := name == "rename" || name == "renamenx"
	absent := t.since == q.at && t.kind == "none" && !t.removed
	switch {
	case rename && q.renamed[q.at]:
	case absent && rename:
		return failed("ERR no such key")
	case absent && name == "restore":
		return failed("ERR the value was not restored")
	case rename:
		return doubtful("for it is not known that its key was there")
	}
	return v
}

// judgeKey tells of one key of a command what came of it.
func (q *inquiry) judgeKey(t *trace, u use, name string, args []string) verdict {
	switch {
	case q.at <= t.since && q.at <= t.read:
		return doubtful("for its key was taken elsewhere before it was overwritten")
	case q.at <= t.since || t.fixed:
		return verdict{}
	case t.kind == "":
		return doubtful("for the type of its key could not be read")
	case t.kind == "none":
		if t.removed && t.needs&^u.types != 0 {
			return doubtful("for its key may have had another type")
		}
		if t.removed || u.looks {
			return verdict{}
		}
		return doubtful("for its key is not there")
	}
	switch is := typesByName[t.kind]; {
	case u.types&is != 0:
	case t.needs&is != 0 && (t.removed || u.looks):
		return doubtful("for its key has changed its type")
	default:
		return failed("WRONGTYPE Operation against a key holding the wrong kind of value")
	}
	switch name {
	case "incr", "decr", "incrby", "decrby":
		return t.count(isInteger(t.number), t.float && isFloat(t.number), "ERR value is not an integer or out of range")
	case "incrbyfloat":
		return t.count(isFloat(t.number), false, "ERR value is not a valid float")
	case "pfadd", "pfmerge":
		return t.count(strings.HasPrefix(t.number, "HYLL"), false, "WRONGTYPE Key is not a valid HyperLogLog string value.")
	case "hincrby", "hincrbyfloat":
		value, ok := t.numbers[args[2]]
		switch {
		case !ok || !t.fields[args[2]] || isInteger(value) || name == "hincrbyfloat" && isFloat(value):
		case isFloat(value): // another one may have counted with a fraction
			return doubtful("for its field holds a fraction")
		default:
			return failed("ERR hash value is not a number")
		}
	case "xclaim", "xgroup":
		group := args[2]
		if name == "xgroup" {
			group = args[3]
		}
		if t.groups[group] && t.present != nil && !t.present[group] {
			return failed("NOGROUP No such consumer group for the key")
		}
	case "xadd":
		return t.adds.judge(args)
	}
	return verdict{}
}

func (t *trace) count(ok, unsure bool, text string) verdict {
	switch {
	case t.text || unsure:
		return doubtful("for its value was changed by others as well")
	case ok:
		return verdict{}
	}
	return failed(text)
}

func isInteger(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == s
}

func isFloat(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}
