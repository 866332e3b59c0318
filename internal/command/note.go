package command

// Note says how the effect of a command is written down in a journal. Positions count from the name,
// which is 0; where there is nothing to point at they are 0. It does not look at values, so a command
// that the server will refuse may have any Note: an error is never written down.
type Note struct {
	// Code is one of NoteNothing and so on.
	Code byte
	// When tells from the reply whether the command did anything that must be written down.
	When When
	Opts Opts
	// The keys it may write stand at Key, Key+Step … Last; Key is 0 if it names none. The old name of
	// RENAME is not among them, nor are keys that it only reads.
	Key, Last, Step int16
	// At is where what the Code needs stands, by its comment.
	At int16
	// Timeout is where a command that waits has its time-out: seconds, or milliseconds with Millis.
	Timeout int16
	// Option is where an option's word or value stands, by the Code's comment.
	Option int16
}

// The codes of a Note. What follows a name is what is written down, k being the key at Key.
const (
	// NoteNothing is a read, or what travels otherwise: PUBLISH, SCRIPT LOAD, FUNCTION LOAD.
	NoteNothing = 'n'
	// NoteMulti is the command verbatim, run in MULTI: it is not known, or no script may run it.
	NoteMulti = 'M'
	// NoteVerbatim is the command verbatim: no expiry that is there already matters. Option is where
	// the number of the database stands that it writes to, if it names one.
	NoteVerbatim = 'v'
	// NoteDeadlines is the command verbatim, with the deadlines of its keys, in the database at Option
	// if it names one.
	NoteDeadlines = 'd'
	// NoteInteger is the same, where the reply may be beyond the integers that a script has.
	NoteInteger = 'i'
	// NoteSet is SET k value [KEEPTTL], and a deadline after Expires or KeepTTL. At: the value.
	NoteSet = 's'
	// NoteMSet is MSET with the same arguments.
	NoteMSet = 'm'
	// NoteHSet is HSET with the same arguments, and the deadline of k.
	NoteHSet = 'h'
	// NoteRename is RENAME with the same arguments, and the deadline of k, which is the new name.
	NoteRename = 'r'
	// NoteExpire is the deadline of k alone, or after Persist PERSIST k.
	NoteExpire = 'e'
	// NoteDel is DEL k.
	NoteDel = 'g'
	// NoteSetPop is SREM k with the members that came out. At: the count.
	NoteSetPop = 'p'
	// NoteListPop is LREM k 1 value for each that came out, -1 after Tail. At: the count.
	NoteListPop = 'l'
	// NoteListMove is LREM k 1 value, -1 after Tail, then LPUSH value to the key at Last, RPUSH after
	// ToTail, with that one's deadline.
	NoteListMove = 'b'
	// NoteSortedPop is ZREM k with the members that came out: the highest after Tail. At: the count.
	NoteSortedPop = 'z'
	// NoteAdd is XADD with the id that came back in place of the one at At, and the deadline of k.
	NoteAdd = 'a'
	// NoteReadGroup is what a group read of each k, as XCLAIM. At: the group, with the consumer after
	// it. A stream's id stands as far behind its key as there are streams.
	NoteReadGroup = 'x'
	// NoteClaim is what was claimed of k, as XCLAIM. At: the group, with the consumer after it.
	// Option: the value of LASTID.
	NoteClaim = 'c'
	// NoteRestore is RESTORE k 0 payload REPLACE, and the deadline of k. At: the payload.
	NoteRestore = 'R'
	// NoteFields is the command with milliseconds since 1970 for the time at At, which is in Seconds
	// or not, Relative or not. The word at Option becomes PXAT; without one, the name HPEXPIREAT.
	NoteFields = 'f'
	// NoteFlushAll is FLUSHALL, of every database but the journal's.
	NoteFlushAll = 'F'
)

// When tells from a reply, which is not an error, whether a command did anything.
type When uint8

const (
	// Always is any reply.
	Always When = iota
	// IfNotNil is any but nil and an empty array.
	IfNotNil
	// IfNil is nil alone.
	IfNil
	// IfPositive is an integer above 0.
	IfPositive
)

// Opts are options among the arguments, or what the name stands for.
type Opts uint16

const (
	// Tail takes from the end of a list, or the highest of a sorted set.
	Tail Opts = 1 << iota
	// ToTail puts at the end of a list.
	ToTail
	// Keyed is a reply that begins with the key it took from, which is one of several.
	Keyed
	// Millis is a time-out in milliseconds.
	Millis
	// Expires gives the key a deadline.
	Expires
	// KeepTTL leaves it the one it has.
	KeepTTL
	// Get answers with the old value.
	Get
	// NX applies only where there is nothing yet.
	NX
	// XX applies only where there is something.
	XX
	// Persist takes the deadline away.
	Persist
	// NoAck puts nothing on the list of pending entries.
	NoAck
	// JustID answers with ids alone, and counts no delivery.
	JustID
	// Seconds is a time in seconds, not milliseconds.
	Seconds
	// Relative is a time counted from now, not from 1970.
	Relative
)

// Has reports whether all of the given options are there.
func (o Opts) Has(p Opts) bool { return o&p == p }

// MaxArgs is the most arguments that a script of ours hands on: Lua's stack bears 8000, and a command
// is not alone on it.
const MaxArgs = 4000

// judgement completes a Note by the arguments, of which there are as many as there must be. A false
// result is an argument that it does not know, so that NoteMulti is right.
type judgement func(n Note, args []any) (Note, bool)

// NoteOf returns the Note of a command. A command that is not known, has too few or too many
// arguments, or an option that is not known, is NoteMulti: the server says natively what it thinks of
// it. What only reads is NoteNothing, whatever its arguments.
func NoteOf(args []any) Note { return NoteFor(args, Newest) }

// Newest is a version that has every command.
const Newest = 9999

// NoteFor is NoteOf for a server of a version, in the form of Info.Since. What it may not have yet is
// NoteMulti.
func NoteFor(args []any, version uint16) Note {
	r := find(args)
	if r == nil || r.note.Code == NoteMulti {
		return Note{Code: NoteMulti}
	}
	n := r.note
	if n.Code == NoteNothing && r.judge == nil {
		return n
	}
	if !r.fits(len(args)) || len(args) > MaxArgs {
		return Note{Code: NoteMulti}
	}
	if n.Last < 0 {
		n.Last += int16(len(args))
		n.Last -= (n.Last - n.Key) % n.Step
	}
	if n.Timeout < 0 {
		n.Timeout += int16(len(args))
	}
	if r.judge != nil {
		var ok bool
		if n, ok = r.judge(n, args); !ok {
			return Note{Code: NoteMulti}
		}
	}
	if r.Since > version && n.Code != NoteNothing {
		return Note{Code: NoteMulti}
	}
	return n
}
