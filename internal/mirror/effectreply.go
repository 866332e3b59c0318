package mirror

import (
	"strconv"

	"github.com/redis/go-redis/v9"
)

// filled reports whether a reply is something other than nil and an empty list. It is not known of a
// type that is not go-redis' own.
func filled(cmd redis.Cmder) (is, known bool) {
	switch cmd := cmd.(type) {
	case *redis.Cmd:
		switch v := cmd.Val().(type) {
		case nil:
			return false, true
		case []any:
			return len(v) > 0, true
		case map[any]any:
			return len(v) > 0, true
		}
		return true, true
	case *redis.BoolCmd: // to which nil is false
		return cmd.Val(), true
	case *redis.StatusCmd, *redis.StringCmd, *redis.FloatCmd, *redis.ZWithKeyCmd:
		return true, true
	case *redis.StringSliceCmd:
		return len(cmd.Val()) > 0, true
	case *redis.SliceCmd:
		return len(cmd.Val()) > 0, true
	case *redis.KeyValuesCmd:
		_, v := cmd.Val()
		return len(v) > 0, true
	case *redis.ZSliceCmd:
		return len(cmd.Val()) > 0, true
	case *redis.ZSliceWithKeyCmd:
		_, v := cmd.Val()
		return len(v) > 0, true
	case *redis.XStreamSliceCmd:
		return len(cmd.Val()) > 0, true
	case *redis.XMessageSliceCmd:
		return len(cmd.Val()) > 0, true
	}
	return true, false
}

// positive reports whether a reply is a number above 0, or true.
func positive(cmd redis.Cmder) (is, known bool) {
	if cmd, ok := cmd.(*redis.BoolCmd); ok {
		return cmd.Val(), true
	}
	if cmd, ok := cmd.(*redis.Cmd); ok {
		if v, ok := cmd.Val().(bool); ok {
			return v, true
		}
	}
	n, known := number(cmd)
	return n > 0, known
}

// number returns a reply that is an integer. A BoolCmd is none: it has forgotten the number.
func number(cmd redis.Cmder) (int64, bool) {
	switch cmd := cmd.(type) {
	case *redis.IntCmd:
		return cmd.Val(), true
	case *redis.Cmd:
		return integerOf(cmd.Val())
	case *redis.StringCmd:
		return integerOf(cmd.Val())
	case *redis.StatusCmd:
		return integerOf(cmd.Val())
	}
	return 0, false
}

// integerOf returns an argument or a value of a reply as an integer.
func integerOf(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case int:
		return int64(v), true
	case nil, bool:
		return 0, false
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil
	}
	var room [32]byte
	n, err := strconv.ParseInt(string(AppendArg(room[:0], v)), 10, 64)
	return n, err == nil
}

// list is a reply of several values.
type list struct {
	texts  []string
	values []any
}

func (l list) len() int { return len(l.texts) + len(l.values) }

func (l list) at(i int) any {
	if l.texts != nil {
		return l.texts[i]
	}
	return l.values[i]
}

// listOf returns a reply as a list, and false if it is none of text.
func listOf(cmd redis.Cmder) (l list, ok bool) {
	switch cmd := cmd.(type) {
	case *redis.StringCmd:
		l.texts = []string{cmd.Val()}
	case *redis.StringSliceCmd:
		l.texts = cmd.Val()
	case *redis.SliceCmd:
		l.values = cmd.Val()
	case *redis.Cmd:
		switch v := cmd.Val().(type) {
		case string:
			l.texts = []string{v}
		case []any:
			l.values = v
		}
	}
	for _, v := range l.values {
		if _, ok := v.(string); !ok {
			return l, false
		}
	}
	return l, l.len() > 0
}

// listPopped returns how many elements of a list came out, and of which key if the reply says so.
func listPopped(cmd redis.Cmder, keyed bool) (key any, n int, ok bool) {
	switch cmd := cmd.(type) {
	case *redis.StringCmd:
		return nil, 1, !keyed
	case *redis.KeyValuesCmd:
		key, values := cmd.Val()
		return key, len(values), true
	}
	if v, ok := manyOf(cmd); ok && keyed && len(v) == 2 {
		if several, ok := v[1].([]any); ok { // LMPOP
			return v[0], len(several), true
		}
	}
	l, ok := listOf(cmd)
	switch {
	case !ok || keyed && l.len() != 2:
		return nil, 0, false
	case keyed:
		return l.at(0), 1, true
	}
	return nil, l.len(), true
}

// sortedPopped is listPopped of a sorted set.
func sortedPopped(cmd redis.Cmder, keyed bool) (key any, n int, ok bool) {
	switch cmd := cmd.(type) {
	case *redis.ZSliceCmd:
		return nil, len(cmd.Val()), true
	case *redis.ZWithKeyCmd:
		if v := cmd.Val(); v != nil {
			return v.Key, 1, true
		}
	case *redis.ZSliceWithKeyCmd:
		key, values := cmd.Val()
		return key, len(values), true
	}
	v, ok := manyOf(cmd)
	if !ok || len(v) == 0 {
		return nil, 0, false
	}
	if keyed {
		if len(v) == 3 { // key, member, score
			return v[0], 1, true
		}
		several, ok := v[1%len(v)].([]any) // key, pairs
		return v[0], len(several), ok && len(v) == 2
	}
	if _, pairs := v[0].([]any); pairs { // RESP3 with a count
		return nil, len(v), true
	}
	return nil, len(v) / 2, len(v)%2 == 0
}

// manyOf returns a reply that is an array of anything.
func manyOf(cmd redis.Cmder) ([]any, bool) {
	switch cmd := cmd.(type) {
	case *redis.Cmd:
		v, ok := cmd.Val().([]any)
		return v, ok
	case *redis.SliceCmd:
		return cmd.Val(), true
	}
	return nil, false
}
