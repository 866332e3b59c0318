package journal

import "strings"

// how says what folding may do with a command.
type how uint8

const (
	howWall    how = iota // not known, or it reaches where its arguments do not say: everything before it comes first
	howSeveral            // names several keys of one database: everything before it comes first
	howFlush              // takes away all that was before it
	howKill               // DEL and UNLINK
	howSet                // SET
	howSets               // MSET
	howPersist            // PERSIST
	howWhole              // replaces one key, whatever was there
	howAdd                // INCR and its kin
	howField              // HINCRBY
	howAppend             // APPEND
	howPairs              // HSET: a later value of a field replaces an earlier one
	howTail               // its arguments may follow those of the same command before it
	howScores             // ZADD
	howSingle             // one key, and nothing to fold
)

// hows are the commands that are known, by their names in lower case. A write that is missing here is
// a wall, which is always right.
var hows = func() map[string]how {
	m := map[string]how{}
	for h, names := range map[how]string{
		howSeveral: `copy rename renamenx smove lmove rpoplpush sinterstore sunionstore sdiffstore zinterstore
			zunionstore zdiffstore zrangestore geosearchstore bitop pfmerge msetnx`,
		howFlush:   `flushdb flushall`,
		howKill:    `del unlink`,
		howSet:     `set`,
		howSets:    `mset`,
		howPersist: `persist`,
		howAdd:     `incr decr incrby decrby`,
		howField:   `hincrby`,
		howAppend:  `append`,
		howPairs:   `hset hmset`,
		howTail:    `rpush lpush rpushx lpushx sadd srem hdel zrem pfadd`,
		howScores:  `zadd`,
		howWhole:   `restore`,
		howSingle: `setrange setbit incrbyfloat hincrbyfloat hsetnx lrem lset ltrim linsert zincrby
			zremrangebyrank zremrangebyscore zremrangebylex geoadd xadd xdel xtrim xack xclaim xsetid
			setnx getset getdel hpexpireat hpexpire hexpire hexpireat hpersist hsetex hgetdel hgetex`,
	} {
		for name := range strings.FieldsSeq(names) {
			m[name] = h
		}
	}
	return m
}()

// removes are the commands that only take away, which are written down without the deadline of their key.
var removes = func() map[string]bool {
	m := map[string]bool{}
	for name := range strings.FieldsSeq(`hdel hgetdel srem zrem zremrangebyrank zremrangebyscore zremrangebylex lrem ltrim`) {
		m[name] = true
	}
	return m
}()

// howOf returns what folding may do with a command, and its name in lower case.
func howOf(args []string) (how, string) {
	h, ok := hows[args[0]]
	name := args[0]
	if !ok {
		name = strings.ToLower(name)
		h = hows[name]
	}
	n := len(args)
	switch h {
	case howFlush:
	case howSet:
		if n == 3 || n == 4 && strings.EqualFold(args[3], "keepttl") {
			return h, name
		}
		return howWall, name // the journal has no other: options that are not known here
	case howSets:
		if n < 3 || n%2 == 0 {
			return howWall, name
		}
	case howPairs:
		if n < 4 || n%2 != 0 {
			return howSingle, name
		}
	case howWhole:
		if n != 5 || args[2] != "0" || !strings.EqualFold(args[4], "replace") {
			return howSingle, name
		}
	case howWall:
		if name == "xgroup" && n > 2 {
			return howSingle, name
		}
	default:
		if n < 2 {
			return howWall, name
		}
	}
	return h, name
}

// keyOf is where the key of a command of one key stands.
func keyOf(name string) int {
	if name == "xgroup" {
		return 2
	}
	return 1
}
