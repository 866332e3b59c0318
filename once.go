package fallback

import (
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// once is a command that go-redis sends one time at most. Without it go-redis repeats a command whose
// reply was lost, four times by default, and the error of the last attempt hides that an earlier one
// has run.
//
// go-redis asks a command for its arguments exactly when it writes them, so that one that was never
// asked has never been written.
type once struct {
	redis.Cmder
	written atomic.Bool
}

// NoRetry keeps go-redis from a second attempt.
func (o *once) NoRetry() bool { return true }

// Args returns the arguments, and remembers that they were wanted.
func (o *once) Args() []any {
	o.written.Store(true)
	return o.Cmder.Args()
}

// Clone returns a copy of the command, of which nothing more is known: a hook after ours may send it.
func (o *once) Clone() redis.Cmder {
	o.written.Store(true)
	return o.Cmder.Clone()
}

// hidesErrors reports a command for which go-redis takes an error reply for a value, or cannot read
// it: its time is kept, to tell what the connection saw meanwhile.
func hidesErrors(cmd redis.Cmder) bool {
	switch cmd.(type) {
	case *redis.RawCmd, *redis.RawWriteToCmd, *redis.MapStringSliceInterfaceCmd:
		return true
	}
	return false
}
