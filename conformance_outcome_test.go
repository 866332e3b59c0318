package fallback_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// outcome is what a caller gets of one call, as a text that can be compared: the Go type, the error,
// and all that Result returns.
type outcome struct {
	text string
	err  error
}

func outcomeOf(cmd redis.Cmder, norm func(string) string) outcome {
	if cmd == nil {
		return outcome{text: "no command"}
	}
	v := reflect.ValueOf(cmd)
	read := v.MethodByName("Result")
	if !read.IsValid() {
		read = v.MethodByName("Val")
	}
	var values []string
	for _, out := range read.Call(nil) {
		if out.Type() != reflect.TypeFor[error]() {
			values = append(values, dump(out))
		}
	}
	if z, ok := cmd.(*redis.ZeroCopyStringCmd); ok {
		values = append(values, fmt.Sprintf("%q", z.Bytes()))
	}
	value := strings.Join(values, ", ")
	if norm != nil {
		value = norm(value)
	}
	return outcome{fmt.Sprintf("%T: %s; %s", cmd, value, describe(cmd.Err())), cmd.Err()}
}

// describe tells errors apart by what programs look at.
func describe(err error) string {
	if err == nil {
		return "no error"
	}
	if err == redis.Nil { //nolint:errorlint // as programs compare it
		return "redis.Nil"
	}
	return fmt.Sprintf("%T %q", err, err)
}

// dump writes a value with what its pointers lead to, and maps in order.
func dump(v reflect.Value) string {
	if v.IsValid() && v.CanInterface() {
		switch x := v.Interface().(type) {
		case time.Time:
			return x.UTC().Format(time.RFC3339Nano)
		case time.Duration:
			return x.String()
		case error:
			return describe(x)
		}
	}
	list := func(n int, item func(int) string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = item(i)
		}
		return strings.Join(parts, " ")
	}
	switch v.Kind() {
	case reflect.Invalid:
		return "nil"
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
		return dump(v.Elem())
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	case reflect.Slice:
		if v.IsNil() {
			return "nil[]"
		}
		return "[" + list(v.Len(), func(i int) string { return dump(v.Index(i)) }) + "]"
	case reflect.Array:
		return "[" + list(v.Len(), func(i int) string { return dump(v.Index(i)) }) + "]"
	case reflect.Map:
		if v.IsNil() {
			return "nil{}"
		}
		var pairs []string
		for key, value := range v.Seq2() {
			pairs = append(pairs, dump(key)+"="+dump(value))
		}
		slices.Sort(pairs)
		return "map{" + strings.Join(pairs, " ") + "}"
	case reflect.Struct:
		return "{" + list(v.NumField(), func(i int) string { return v.Type().Field(i).Name + ":" + dump(v.Field(i)) }) + "}"
	default:
		return fmt.Sprint(v) // a number, or a bool
	}
}

// What of a value is not the same twice.

// kind leaves only whether there is a value at all.
func kind(s string) string {
	switch s {
	case `""`, "0", "nil", "nil[]", "[]", "nil{}", "map{}":
		return s
	}
	return "something"
}

// sorted is for sets, whose order depends on the seed of each server.
func sorted(s string) string {
	list, rest, _ := strings.Cut(s, "]")
	words := strings.Fields(strings.TrimPrefix(list, "["))
	slices.Sort(words)
	return strings.Join(words, " ") + rest
}

// rounded is for what runs down or up while the test does.
func rounded(s string) string {
	d, err := time.ParseDuration(s)
	if err != nil {
		return s
	}
	return d.Round(100 * time.Second).String()
}

// masked hides what follows these names.
func masked(names ...string) func(string) string {
	re := regexp.MustCompile(`\b(` + strings.Join(names, "|") + `):[^ }"]*`)
	return func(s string) string { return re.ReplaceAllString(s, "$1:…") }
}
