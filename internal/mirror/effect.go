package mirror

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/command"
)

// Effect adds what a command did that the primary acknowledged. db is the database as in Op, at is
// local's time when the call had ended, the latest it may have been, in ms since 1970: from there relative
// expiries become absolute ones, so that nothing expires here before it does there.
//
// What cannot be told for sure from the arguments and the reply is Unsure. An error reply means that
// nothing was done, but for scripts and what is not known. Each command of a transaction is given with
// its own reply; MULTI and EXEC do nothing themselves.
func (o *Ops) Effect(db string, cmd redis.Cmder, at int64) {
	e := effect{ops: o, db: db, cmd: cmd, args: cmd.Args(), at: at}
	e.note = command.NoteOf(e.args)
	if e.note.Code == command.NoteNothing {
		return
	}
	did, known := e.did()
	if known && !did {
		return
	}
	size, n := len(o.buf), o.n
	if known && e.add() {
		return
	}
	o.buf, o.n = o.buf[:size], n
	o.unsure(db, e.args)
}

// effect is one command on its way into Ops.
type effect struct {
	ops  *Ops
	db   string
	cmd  redis.Cmder
	args []any
	note command.Note
	at   int64
}

// did reports whether the command did anything, as far as that is known.
func (e *effect) did() (did, known bool) {
	switch e.cmd.(type) {
	case *redis.RawCmd, *redis.RawWriteToCmd: // error replies are no errors of theirs
		return true, false
	}
	none := false
	if err := e.cmd.Err(); err != nil {
		if none = errors.Is(err, redis.Nil); !none {
			return e.failed(err)
		}
	}
	switch e.note.When {
	case command.IfNotNil:
		if e.note.Code == command.NoteDel {
			return true, true // GETDEL: there is nothing now, whatever there was
		}
		if none {
			return false, true
		}
		return filled(e.cmd)
	case command.IfNil:
		if none {
			return true, true
		}
		did, known = filled(e.cmd)
		return !did, known
	case command.IfPositive:
		return positive(e.cmd)
	default:
		return true, true
	}
}

// failed is did of a command that failed. Only an error reply says that nothing was done: any other
// error met a reply that was there, since the command was acknowledged.
func (e *effect) failed(err error) (did, known bool) {
	if _, ok := errors.AsType[redis.Error](err); !ok {
		return true, false
	}
	text := err.Error()
	if strings.HasPrefix(text, "EXECABORT") {
		return true, false
	}
	if e.note.Code != command.NoteMulti {
		return false, true
	}
	if command.Of(e.args).Has(command.Script) {
		return false, strings.HasPrefix(text, "NOSCRIPT") // else it may have failed half way
	}
	_, known = command.Lookup(e.args)
	return false, known && !command.Is(e.args, "migrate")
}

// add adds the operations, and reports false where they cannot be told.
func (e *effect) add() bool {
	key := any(nil)
	if e.note.Key > 0 {
		key = e.args[e.note.Key]
	}
	switch e.note.Code {
	case command.NoteVerbatim, command.NoteDeadlines:
		return e.verbatim(key)
	case command.NoteInteger:
		return e.count(key)
	case command.NoteSet:
		return e.set(key)
	case command.NoteMSet:
		return e.each("SET", Whole, 2)
	case command.NoteHSet:
		e.ops.Add(Partial, e.db, key, "HSET", key, e.args[2], e.args[3])
	case command.NoteRename:
		return e.rename()
	case command.NoteExpire:
		return e.expire(key)
	case command.NoteDel:
		e.ops.Add(Gone, e.db, key)
	case command.NoteSetPop:
		return e.setPop(key)
	case command.NoteListPop:
		return e.pop(key, "LPOP", "RPOP", listPopped)
	case command.NoteSortedPop:
		return e.pop(key, "ZPOPMIN", "ZPOPMAX", sortedPopped)
	case command.NoteListMove:
		return e.listMove(key)
	case command.NoteAdd:
		return e.streamAdd(key)
	case command.NoteReadGroup:
		return e.readGroup()
	case command.NoteClaim:
		return e.claim(key)
	case command.NoteRestore:
		return e.restore(key)
	case command.NoteFields:
		return e.fields(key)
	case command.NoteFlushAll:
		e.ops.Add(Flush, EveryDB, "")
	default: // NoteMulti
		if !command.Is(e.args, "bitfield") || len(e.args) < 3 || len(e.args) > command.MaxArgs {
			return false
		}
		e.ops.Add(Partial, e.db, e.args[1], e.args...)
	}
	return true
}

// begin adds an operation without its arguments, of which n follow by arg, text and integer.
func (o *Ops) begin(kind Kind, db string, key any, n int) {
	o.Add(kind, db, key)
	o.buf = binary.AppendUvarint(o.buf[:len(o.buf)-1], uint64(n)) //nolint:gosec // a length
}

func (o *Ops) integer(v int64) {
	var room [20]byte
	b := strconv.AppendInt(room[:0], v, 10)
	o.buf = append(o.buf, byte(len(b)))
	o.buf = append(o.buf, b...)
}
