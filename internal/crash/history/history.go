// Package history is what an application has done to Redis, as it saw it: every write it began, and
// what became of it. A process writes its log while it runs, so that a kill -9 loses no line that was
// written; the checker reads it.
package history

import (
	"strconv"
	"strings"
)

// Kind is what an operation does.
type Kind string

// The kinds. Values are unique unless said otherwise, so that each write can be found again.
const (
	Incr     Kind = "incr"     // INCRBY of a shared counter by N
	Add      Kind = "add"      // SADD or ZADD of a value
	Push     Kind = "push"     // RPUSH of a value to a list that nobody pops from, or APPEND to a text
	Enqueue  Kind = "enqueue"  // RPUSH, SADD or ZADD of a value to a queue
	Pop      Kind = "pop"      // LPOP, RPOP, BLPOP, SPOP or ZPOPMIN of one; Reply is the value, "" for none
	Field    Kind = "field"    // HSET of a field with the value as name and content
	Entry    Kind = "entry"    // XADD with the value as field v
	Register Kind = "register" // SET of a key of one goroutine; the value is Seq
	Version  Kind = "version"  // HSET of field v of a key of one goroutine; the value is Seq
	Swap     Kind = "swap"     // a Watch that read Reply, and put the value in its place
	Expiring Kind = "expiring" // SET of a key of its own, to expire after N ms
	Session  Kind = "session"  // HSET and PEXPIRE in a transaction, or SET of a counter, to expire after N ms
	Touch    Kind = "touch"    // HSET of a further field of a session, or INCR
	Clash    Kind = "clash"    // RPUSH to a key that is a string on the primary: local alone can do it
)

// Keys that mean something.
const (
	// ServerKey says on each server which one it is: "primary" or "local".
	ServerKey = "crash:server"
	// SwapsDone is the set of the values that Swap has put in place.
	SwapsDone = "swaps-done"
	// ClashKey is the key of Clash.
	ClashKey = "clash"
)

// State is what became of an operation.
type State byte

// The states.
const (
	Open    State = 'o' // it began, and the process was killed, or it is still waiting
	Acked   State = 'a' // acknowledged
	Failed  State = 'e' // an error: it may have run
	Refused State = 'r' // an error that promises that it has not run
)

// Server is who answered, as far as the application can know.
type Server byte

// The servers.
const (
	Either  Server = '?'
	Primary Server = 'p'
	Local   Server = 'l'
)

// Batch is how an operation was sent.
type Batch byte

// The ways.
const (
	Alone       Batch = '-'
	Pipeline    Batch = 'p'
	Transaction Batch = 't'
)

// Op is one operation.
type Op struct {
	By    string // the goroutine, unique over all processes of a run: that of its process, g, a number
	Seq   int    // its operations are counted from 1
	Group int    // Seq of the first operation of its pipeline or transaction
	Batch Batch
	Kind  Kind
	Key   string
	Value string
	N     int64
	Begin int64 // ms since 1970

	State  State
	End    int64 // ms since 1970; 0 while Open
	Server Server
	Epoch  int64 // of the switch, if it was one and the same before and after; else -1
	Reply  string
}

// Value returns the value that belongs to one operation alone. It ends in a character of its own, so
// that none is the beginning of another.
func Value(by string, seq int) string { return by + "n" + strconv.Itoa(seq) + ";" }

// Process returns the process of the goroutine.
func (o *Op) Process() string {
	p, _, _ := strings.Cut(o.By, "g")
	return p
}

// Wrote reports an operation that wrote, and was acknowledged.
func (o *Op) Wrote() bool { return o.State == Acked && (o.Kind != Pop || o.Reply != "") }

// Unsure reports an operation that may have run or not.
func (o *Op) Unsure() bool { return o.State == Open || o.State == Failed }
