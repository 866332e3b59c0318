package fallback_test

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/redis/go-redis/v9"
)

// sample is one call of one method of redis.Cmdable. In the tables its key is the method's name, with
// what is special about the call behind it, as in "Get missing".
type sample struct {
	method string
	args   []any
	hand   bool // the arguments were chosen by hand

	batch func(c redis.Cmdable) ([]redis.Cmder, error) // in place of method and arguments

	setup   []string            // commands that run on both servers before the call, words parted by spaces
	cleanup []string            // and after it
	norm    func(string) string // takes away what is not the same twice
	moves   bool                // what it writes is not the same twice
	stays   bool                // it is never answered by local, by law 1
	goesOn  bool                // something of it goes on behind the call: a library to local
	dirty   bool                // it leaves the connection in another state than the pool's
	shapes  []shape             // if not all: the others would wait
}

// with calls the method with these arguments after the context; numbers are converted, a pointer to a
// struct is copied for each call, a func() any makes its argument anew.
func with(args ...any) sample { return sample{args: args, hand: true} }

func (s sample) after(lines ...string) sample        { s.setup = lines; return s }
func (s sample) undo(lines ...string) sample         { s.cleanup = lines; return s }
func (s sample) but(norm func(string) string) sample { s.norm = norm; return s }
func (s sample) writingAnew() sample                 { s.moves = true; return s }
func (s sample) goingOn() sample                     { s.goesOn = true; return s }
func (s sample) dirtying() sample                    { s.dirty = true; return s }
func (s sample) only(shapes ...shape) sample         { s.shapes = shapes; return s }
func (s sample) staying() sample                     { s.stays = true; return s }

// staying marks all of a table.
func staying(group map[string]sample) map[string]sample {
	for name, s := range group {
		group[name] = s.staying()
	}
	return group
}

// issue makes the call. A panic of go-redis' own is an outcome like any other.
func (s sample) issue(c redis.Cmdable) (cmd redis.Cmder, panicked string) {
	defer func() {
		if r := recover(); r != nil {
			panicked = fmt.Sprint("panic: ", r)
		}
	}()
	m := reflect.ValueOf(c).MethodByName(s.method)
	in := []reflect.Value{reflect.ValueOf(ctx)}
	for i, arg := range s.args {
		in = append(in, convert(arg, paramType(m.Type(), i+1)))
	}
	return m.Call(in)[0].Interface().(redis.Cmder), ""
}

func paramType(f reflect.Type, i int) reflect.Type {
	if last := f.NumIn() - 1; f.IsVariadic() && i >= last {
		return f.In(last).Elem()
	}
	return f.In(i)
}

func convert(arg any, to reflect.Type) reflect.Value {
	if fresh, ok := arg.(func() any); ok {
		arg = fresh()
	}
	v := reflect.ValueOf(arg)
	switch {
	case arg == nil:
		return reflect.Zero(to)
	case v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct:
		copied := reflect.New(v.Elem().Type())
		copied.Elem().Set(v.Elem())
		return copied
	case !v.Type().AssignableTo(to) && v.CanInt():
		return v.Convert(to)
	}
	return v
}

// samples returns every call of the tables, and one with made up arguments for each method that
// unknownTo7 allows that for. The second result is what is wrong with the tables.
func samples() (all map[string]sample, wrong []string) {
	all = map[string]sample{}
	methods := reflect.TypeFor[redis.Cmdable]()
	covered := map[string]bool{}
	for _, table := range []map[string]sample{
		keyCalls, stringCalls, listCalls, setCalls, hashCalls, zsetCalls, geoCalls, streamCalls,
		scriptCalls, serverCalls, stayingCalls, clusterCalls, newerCalls, batchCalls,
	} {
		for name, s := range table {
			s.method, _, _ = strings.Cut(name, " ")
			if _, ok := methods.MethodByName(s.method); !ok {
				wrong = append(wrong, "redis.Cmdable has no method "+s.method)
			}
			if _, twice := all[name]; twice {
				wrong = append(wrong, name+" stands in two tables")
			}
			all[name], covered[s.method] = s, true
		}
	}
	for name := range strings.FieldsSeq(unknownTo7) {
		switch m, ok := methods.MethodByName(name); {
		case !ok:
			wrong = append(wrong, "redis.Cmdable has no method "+name)
		case covered[name]:
			wrong = append(wrong, name+" has arguments of its own, and stands in unknownTo7 as well")
		default:
			all[name], covered[name] = madeUp(m), true
		}
	}
	for m := range methods.Methods() {
		if !covered[m.Name] {
			wrong = append(wrong, fmt.Sprintf("redis.Cmdable.%s is not covered: give it a call in the table of its family (with(...), and .staying() "+
				"if local must never answer it), or, if the server of these tests does not know the command, a place in unknownTo7", m.Name))
		}
	}
	return all, wrong
}
