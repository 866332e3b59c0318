package journal

import (
	"strings"

	table "github.com/redis-fallback/fallback/internal/command"
)

// types is a set of types of values.
type types uint8

const (
	typeString types = 1 << iota
	typeList
	typeSet
	typeScores // a sorted set
	typeHash
	typeStream
)

// typesByGroup says which type the commands of a group need.
var typesByGroup = map[string]types{
	"string": typeString, "bitmap": typeString, "hyperloglog": typeString, "list": typeList, "set": typeSet,
	"sorted-set": typeScores, "geo": typeScores, "hash": typeHash, "stream": typeStream,
}

// typesByName are the types as TYPE calls them.
var typesByName = map[string]types{
	"string": typeString, "list": typeList, "set": typeSet, "zset": typeScores, "hash": typeHash, "stream": typeStream,
}

// doing is what a command does to one of its keys.
type doing uint8

const (
	doesNeed  doing = iota // it fails if the key is there and of another type
	doesRead               // what comes of the key elsewhere depends on it; it may be of any type
	doesFix                // whatever was there before does not matter: it is known, or gone
	doesTaint              // it is as something else was, which may not be known
)

// use is one key of a command.
type use struct {
	at    place
	doing doing
	types types // that it needs
	looks bool  // where the key is not there it makes none
}

// removers are the commands that may leave nothing of a key, now or later.
var removers = func() map[string]bool {
	m := map[string]bool{}
	for name := range strings.FieldsSeq(`lrem ltrim lpop rpop lmove rpoplpush srem spop smove zrem zremrangebyrank
		zremrangebyscore zremrangebylex zpopmin zpopmax hdel hgetdel hgetex hsetex hexpire hpexpire hexpireat
		hpexpireat xack xdel xtrim`) {
		m[name] = true
	}
	return m
}()

// usesOf returns what a command does to its keys, sources before destinations, which may be the same. sure is false for one of which it cannot be told whether it could fail.
func usesOf(db, name string, args []string) (uses []use, sure bool) {
	add := func(doing doing, keys ...string) {
		for _, key := range keys {
			uses = append(uses, use{at: place{db, key}, doing: doing})
		}
	}
	n := len(args)
	switch {
	case name == NameName && n > 1:
		add(doesFix, args[1])
	case name == "del" || name == "unlink" || name == "getdel" && n == 2:
		add(doesFix, args[1:]...)
	case name == "set" && n > 2:
		add(doesFix, args[1])
	case name == "mset":
		for i := 1; i+1 < n; i += 2 {
			add(doesFix, args[i])
		}
	case name == "restore" && n > 2:
		add(doesTaint, args[1])
	case (name == "rename" || name == "renamenx") && n == 3:
		add(doesRead, args[1])
		add(doesFix, args[1])
		add(doesTaint, args[2])
	case name == "copy" && n > 2, name == "move" && n > 2:
		add(doesRead, args[1])
		to := args[2]
		if name == "move" {
			add(doesFix, args[1])
			to = args[1]
		}
		add(doesTaint, to)
		if other, ok := elsewhere(args); ok {
			uses[len(uses)-1].at.db = other
		}
	case name == DeadlineName, name == "persist", name == "expire", name == "pexpire", name == "expireat",
		name == "pexpireat", name == "publish", name == "spublish", name == "function", name == "script":
	default:
		return usesOfTable(db, name, args)
	}
	return uses, true
}

// usesOfTable is usesOf for what the table of commands tells.
func usesOfTable(db, name string, args []string) (uses []use, sure bool) {
	boxes := make([]any, len(args))
	for i := range args {
		boxes[i] = args[i]
	}
	info, known := table.Lookup(boxes)
	keys, ok := table.AppendKeys(nil, boxes)
	if !known || !ok || typesByGroup[info.Group] == 0 {
		// A script, or something new: its keys may be anything.
		if !ok {
			for i := 1; i < len(args); i++ {
				keys = append(keys, i)
			}
		}
		for _, i := range keys {
			at := place{db, args[i]}
			uses = append(uses, use{at: at, doing: doesRead}, use{at: at, doing: doesTaint})
		}
		return uses, false
	}
	needs, to := typesByGroup[info.Group], -1
	switch name {
	case "zinterstore", "zunionstore", "zdiffstore":
		needs, to = typeScores|typeSet, 1
	case "sinterstore", "sunionstore", "sdiffstore", "zrangestore", "geosearchstore":
		to = 1
	case "bitop":
		to = 2
	case "georadius", "georadiusbymember":
		if len(keys) > 1 { // STORE
			to = keys[1]
		}
	}
	for _, i := range keys {
		if i != to {
			uses = append(uses, use{place{db, args[i]}, doesNeed, needs, to > 0 || removers[name]})
		}
	}
	if to > 0 && to < len(args) {
		uses = append(uses, use{at: place{db, args[to]}, doing: doesTaint})
	}
	return uses, true
}
