package fallback

import (
	"reflect"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// once is a command that go-redis sends one time at most. Without it go-redis repeats a command whose
// reply was lost, four times by default, and the error of the last attempt hides that an earlier one
// has run.
//
// go-redis asks a command for its arguments when it writes them, so that one that was never asked has
// never been written. A ClusterClient also asks when it looks for the node, before anything is
// written: there fewer commands are known to be unwritten than are, which is the safe side.
//
// A ClusterClient whose resolver knows how commands spread sends some to several nodes, as copies,
// and sets what the copies came to by the command's own type, which a wrapper hides. So a once says
// that its type is none that go-redis lists, and is then asked for SetVal.
type once struct {
	redis.Cmder
	written atomic.Bool
	copies  atomic.Int32 // commands made of this one, for the nodes it spreads over
}

// unlisted is a type for which go-redis looks for a method SetVal.
const unlisted = redis.CmdType(255)

// NoRetry keeps go-redis from a second attempt.
func (o *once) NoRetry() bool { return true }

// Args returns the arguments, and remembers that they were wanted.
func (o *once) Args() []any {
	o.written.Store(true)
	return o.Cmder.Args()
}

// Clone returns a copy of the command itself: go-redis reads the copy's value by its type. What
// becomes of it is not seen here.
func (o *once) Clone() redis.Cmder {
	o.copies.Add(1)
	o.written.Store(true)
	return o.Cmder.Clone()
}

// GetCmdType is asked once for each copy that is made for some of the keys.
func (o *once) GetCmdType() redis.CmdType {
	o.copies.Add(1)
	return unlisted
}

// SetVal sets the value that the copies add up to.
func (o *once) SetVal(v any) {
	set := reflect.ValueOf(o.Cmder).MethodByName("SetVal")
	if !set.IsValid() || set.Type().NumIn() != 1 {
		return
	}
	val, want := reflect.ValueOf(v), set.Type().In(0)
	switch {
	case !val.IsValid():
	case val.Type().AssignableTo(want):
		set.Call([]reflect.Value{val})
	case val.CanConvert(want) && want.Kind() != reflect.String: // a sum may come as a float
		set.Call([]reflect.Value{val.Convert(want)})
	}
}

// spread reports that several nodes were asked: an error is then one node's, and says nothing of what
// ran on the others.
func (o *once) spread() bool { return o != nil && o.copies.Load() > 1 }

// reset makes ready for another attempt.
func (o *once) reset() {
	o.written.Store(false)
	o.copies.Store(0)
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
