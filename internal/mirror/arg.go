package mirror

import (
	"encoding"
	"net"
	"reflect"
	"strconv"
	"time"
)

// AppendArg appends an argument of a command as go-redis writes it. What go-redis would refuse is left
// out: such a command was never sent.
func AppendArg(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return b
	case string:
		return append(b, v...)
	case []byte:
		return append(b, v...)
	case bool:
		if v {
			return append(b, '1')
		}
		return append(b, '0')
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case float64:
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	case time.Time:
		return v.AppendFormat(b, time.RFC3339Nano)
	case *time.Time: // which has a MarshalBinary of its own
		if v == nil {
			v = &time.Time{}
		}
		return v.AppendFormat(b, time.RFC3339Nano)
	case time.Duration:
		return strconv.AppendInt(b, v.Nanoseconds(), 10)
	case encoding.BinaryMarshaler:
		text, err := v.MarshalBinary()
		if err != nil {
			return b
		}
		return append(b, text...)
	case net.IP:
		return append(b, v...)
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, r.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.AppendUint(b, r.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		return strconv.AppendFloat(b, r.Float(), 'f', -1, 64)
	case reflect.Pointer:
		if r.IsNil() {
			return AppendArg(b, reflect.Zero(r.Type().Elem()).Interface())
		}
		return AppendArg(b, r.Elem().Interface())
	default:
		return b
	}
}
