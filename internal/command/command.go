// Package command knows of each Redis command what go-redis does not tell: may it be sent a
// second time, does it wait, does it belong to one connection, does it only delete, which of its
// arguments are keys, and how its effect is written down in a journal.
//
// Three tables say it. Class is written by hand, for every call there is, and is the fastest. Info is
// generated from a real server's COMMAND, and from the documentation of later versions. Note is
// written by hand, for writes that are to be kept.
//
// A command is named by its arguments, as redis.Cmder.Args returns them. Nothing here allocates.
package command

// Class is what is known of a command by its name alone.
type Class uint16

const (
	// Read leaves the data as it is.
	Read Class = 1 << iota
	// Blind overwrites whole keys: neither its reply nor the state after it depends on what was
	// there before. Judged further by its arguments.
	Blind
	// Judged may be sent twice with some arguments and not with others.
	Judged
	// Blocking may wait on the server.
	Blocking
	// Session belongs to the connection it is sent on: set-up, transactions by hand, subscriptions.
	Session
	// Admin configures or inspects the server it is sent to.
	Admin
	// Script runs code on the server, whose error replies may come from inside it, half done.
	Script
	// Deletes makes room: it removes data and adds none.
	Deletes
	// Cursor goes on where the reply of an earlier call ended, on the server that gave it.
	Cursor
	// Code loads code on the server, or runs some that is there by its name or hash.
	Code
)

// Has reports whether c has all of the given properties.
func (c Class) Has(p Class) bool { return c&p == p }

// Any reports whether c has one of the given properties.
func (c Class) Any(p Class) bool { return c&p != 0 }

const longestName = 24

// Of returns the class of a command. A command that is not known is 0: a write that must not be
// sent twice.
func Of(args []any) Class {
	name, sub := Name(args), ""
	switch name {
	// The commonest, as go-redis writes them.
	case "get", "hget", "hgetall", "mget", "exists", "ttl":
		return Read
	case "set":
		return Blind
	case "incr", "hset", "lpush", "rpush", "sadd":
		return 0
	case "":
		return 0
	}
	c, ok := byName[name]
	if !ok {
		var low [longestName]byte
		n, fits := lower(low[:], name)
		if !fits {
			return 0
		}
		if c, ok = byName[string(low[:n])]; !ok {
			return 0
		}
	}
	if c != container {
		return c
	}
	if len(args) > 1 {
		sub, _ = args[1].(string)
	}
	var low [2*longestName + 1]byte
	n, fits := lower(low[:longestName], name)
	if !fits {
		return 0
	}
	low[n] = ' '
	m, fits := lower(low[n+1:], sub)
	if !fits {
		return 0
	}
	return byName[string(low[:n+1+m])]
}

// Name returns the first argument, the command's name, as the caller wrote it.
func Name(args []any) string {
	if len(args) == 0 {
		return ""
	}
	name, _ := args[0].(string)
	return name
}

// Is reports whether a command has this name, given in lower case.
func Is(args []any, name string) bool { return foldEqual(Name(args), name) }

func lower(dst []byte, s string) (int, bool) {
	if len(s) > len(dst) {
		return 0, false
	}
	for i := range len(s) {
		dst[i] = lowerByte(s[i])
	}
	return len(s), true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// foldEqual compares s, in any case, with low, in lower case.
func foldEqual(s, low string) bool {
	if len(s) != len(low) {
		return false
	}
	for i := range len(s) {
		if lowerByte(s[i]) != low[i] {
			return false
		}
	}
	return true
}
