package command

import "strings"

// one is a Note whose only key is the first argument.
func one(n Note) Note {
	n.Key, n.Last, n.Step = 1, 1, 1
	return n
}

// notes are the Notes by name, where they are not NoteNothing for a read and NoteMulti for a write.
// Positions below 0 count from the end. What is judged by its arguments has its name in judges, too.
//
// A command that only takes away is verbatim: delivered late, to a key that is gone, it does nothing.
// One that puts something there is not: it would bring back a key that expired meanwhile, for ever.
// Where a reply says that nothing was done because of what was or was not there (LPUSHX, SMOVE, COPY),
// nothing is written down: on another server it might do what the caller was told it did not. DEL and
// its like are written down always: the key is gone, here and there.
var notes = []struct {
	note  Note
	names string
}{
	{Note{Code: NoteVerbatim}, `flushdb`},
	{Note{Code: NoteVerbatim, Key: 1, Last: -1, Step: 1}, `del unlink`},
	{Note{Code: NoteVerbatim, Key: 1, Last: -1, Step: 2}, `mset`},
	{Note{Code: NoteVerbatim, Key: 1, Last: -1, Step: 3}, `json.mset`},
	{one(Note{Code: NoteVerbatim}), `hdel hgetdel srem zrem zremrangebyrank zremrangebyscore
		zremrangebylex lrem ltrim vrem ardel ardelrange json.del json.forget ft.sugdel cf.del ts.deleterule`},
	{one(Note{Code: NoteVerbatim, When: IfPositive, Option: 2}), `move`},

	{one(Note{Code: NoteDeadlines}), `append setrange setbit incrbyfloat
		hset hmset hincrbyfloat hpersist lpush rpush lset sadd
		zadd zincrby geoadd zdiffstore zinterstore zunionstore zrangestore geosearchstore
		sdiffstore sinterstore sunionstore pfadd pfmerge
		xack xdel xtrim xsetid xackdel xdelex xnack xcfgset
		arset armset arinsert arring arseek vadd vsetattr
		json.merge json.clear json.strappend json.numincrby json.nummultby json.toggle
		json.arrappend json.arrinsert json.arrpop json.arrtrim
		bf.reserve bf.add bf.madd bf.insert bf.loadchunk
		cf.reserve cf.add cf.addnx cf.insert cf.insertnx cf.loadchunk
		cms.initbydim cms.initbyprob cms.incrby cms.merge topk.reserve topk.add topk.incrby
		tdigest.create tdigest.reset tdigest.add tdigest.merge
		ts.create ts.alter ts.del ft.sugadd`},
	{one(Note{Code: NoteDeadlines, When: IfNotNil}), `json.set`},
	{one(Note{Code: NoteDeadlines, When: IfPositive}), `lpushx rpushx linsert hsetex`},
	{Note{Code: NoteDeadlines, Key: 1, Last: 2, Step: 1, When: IfPositive}, `smove`},
	{Note{Code: NoteDeadlines, Key: 1, Last: 2, Step: 1}, `ts.createrule`},
	{Note{Code: NoteDeadlines, Key: 2, Last: 2, Step: 1, When: IfPositive}, `copy xgroup|createconsumer`},
	{Note{Code: NoteDeadlines, Key: 2, Last: 2, Step: 1}, `rename bitop
		xgroup|create xgroup|setid xgroup|destroy xgroup|delconsumer`},

	{one(Note{Code: NoteInteger}), `incr decr incrby decrby hincrby`},

	{one(Note{Code: NoteVerbatim, At: 2}), `set`},
	{one(Note{Code: NoteSet, At: 2, When: IfPositive, Opts: NX}), `setnx`},
	{one(Note{Code: NoteSet, At: 2, Opts: Get}), `getset`},
	{one(Note{Code: NoteSet, At: 3, Opts: Expires}), `setex psetex`},
	{Note{Code: NoteMSet, Key: 1, Last: -1, Step: 2, When: IfPositive}, `msetnx`},
	{one(Note{Code: NoteHSet, When: IfPositive}), `hsetnx`},
	{Note{Code: NoteRename, Key: 2, Last: 2, Step: 1, When: IfPositive}, `renamenx`},
	{one(Note{Code: NoteExpire, When: IfPositive, Opts: Expires}), `expire pexpire expireat pexpireat`},
	{one(Note{Code: NoteExpire, When: IfPositive, Opts: Persist}), `persist`},
	{one(Note{Code: NoteExpire, When: IfNotNil}), `getex`},
	{one(Note{Code: NoteDel, When: IfNotNil}), `getdel`},
	{one(Note{Code: NoteDel, When: IfPositive}), `delex`},
	{one(Note{Code: NoteRestore, At: 3}), `restore`},
	{one(Note{Code: NoteFields, At: 2, Opts: Seconds | Relative}), `hexpire`},
	{one(Note{Code: NoteFields, At: 2, Opts: Relative}), `hpexpire`},
	{one(Note{Code: NoteFields, At: 2, Opts: Seconds}), `hexpireat`},
	{one(Note{Code: NoteFields, At: 2}), `hpexpireat`},
	{Note{Code: NoteFlushAll}, `flushall`},
	{one(Note{Code: NoteSetPop, When: IfNotNil}), `spop`},
	{one(Note{Code: NoteListPop, When: IfNotNil}), `lpop`},
	{one(Note{Code: NoteListPop, When: IfNotNil, Opts: Tail}), `rpop`},
	{one(Note{Code: NoteSortedPop, When: IfNotNil}), `zpopmin`},
	{one(Note{Code: NoteSortedPop, When: IfNotNil, Opts: Tail}), `zpopmax`},
	{popOf(NoteListPop, Keyed), `blpop`},
	{popOf(NoteListPop, Keyed|Tail), `brpop`},
	{popOf(NoteSortedPop, Keyed), `bzpopmin`},
	{popOf(NoteSortedPop, Keyed|Tail), `bzpopmax`},
	{Note{Code: NoteListPop, When: IfNotNil, Opts: Keyed}, `lmpop`},
	{Note{Code: NoteListPop, When: IfNotNil, Opts: Keyed, Timeout: 1}, `blmpop`},
	{Note{Code: NoteSortedPop, When: IfNotNil, Opts: Keyed}, `zmpop`},
	{Note{Code: NoteSortedPop, When: IfNotNil, Opts: Keyed, Timeout: 1}, `bzmpop`},
	{moveOf(0, 0), `lmove`},
	{moveOf(0, 5), `blmove`},
	{moveOf(Tail, 0), `rpoplpush`},
	{moveOf(Tail, 3), `brpoplpush`},
	{one(Note{Code: NoteAdd, When: IfNotNil}), `xadd`},
	{Note{Code: NoteReadGroup, When: IfNotNil, Opts: Millis}, `xreadgroup`},
	{one(Note{Code: NoteClaim, At: 2}), `xclaim xautoclaim`},

	// The server calls these writes. The first ones only read without an option that says otherwise, and
	// a library is brought to each server that needs it by other means.
	{Note{Code: NoteNothing}, `sort georadius georadiusbymember bitfield hgetex function|load`},
}

func popOf(code byte, opts Opts) Note {
	return Note{Code: code, When: IfNotNil, Key: 1, Last: -2, Step: 1, Timeout: -1, Opts: opts}
}

func moveOf(opts Opts, timeout int16) Note {
	return Note{Code: NoteListMove, When: IfNotNil, Key: 1, Last: 2, Step: 1, Timeout: timeout, Opts: opts}
}

// judges are the commands whose arguments decide.
var judges = map[string]judgement{
	"set":               judgeSet,
	"getex":             judgeGetEx,
	"copy":              judgeCopy,
	"zadd":              judgeZAdd,
	"sort":              judgeSort,
	"georadius":         judgeGeoRadius,
	"georadiusbymember": judgeGeoRadiusByMember,
	"bitfield":          judgeBitField,
	"spop":              judgeCount,
	"lpop":              judgeCount,
	"rpop":              judgeCount,
	"zpopmin":           judgeCount,
	"zpopmax":           judgeCount,
	"lmpop":             judgeMPop,
	"blmpop":            judgeMPop,
	"zmpop":             judgeMPop,
	"bzmpop":            judgeMPop,
	"lmove":             judgeMove,
	"blmove":            judgeMove,
	"xadd":              judgeAdd,
	"xreadgroup":        judgeReadGroup,
	"xclaim":            judgeClaim,
	"xautoclaim":        judgeAutoClaim,
	"hsetex":            judgeHSetEx,
	"hgetex":            judgeHGetEx,
}

// addNotes gives each row its Note: that in notes, or NoteNothing if it is no write, or NoteMulti.
func addNotes(m map[string]*row) {
	for _, r := range m {
		r.note.Code = NoteNothing
		if r.Write {
			r.note.Code = NoteMulti
		}
	}
	for _, n := range notes {
		for name := range strings.FieldsSeq(n.names) {
			m[strings.ReplaceAll(name, "|", " ")].note = n.note
		}
	}
	for name, judge := range judges {
		m[name].judge = judge
	}
}
