package command

// finder appends the positions of keys that no fixed place tells. It reports false where the
// arguments are not as they must be.
type finder func(dst []int, args []any) ([]int, bool)

// finders are the commands whose keys follow a word.
var finders = map[string]finder{
	"sort":              func(dst []int, args []any) ([]int, bool) { return stored(dst, args, sortOptions, 2) },
	"georadius":         func(dst []int, args []any) ([]int, bool) { return stored(dst, args, geoOptions, 6) },
	"georadiusbymember": func(dst []int, args []any) ([]int, bool) { return stored(dst, args, geoOptions, 5) },
	"xread":             streams,
	"xreadgroup":        streams,
	"migrate":           migrated,
	"msetex":            everySecond,
}

// AppendKeys appends to dst the positions of all keys among the arguments, where the name is 0, as
// COMMAND GETKEYS counts them. It reports false, and appends nothing, where they cannot be told: the
// command is not known, has too few arguments, or names none of what it touches, as FT.SEARCH does.
// A script's keys are those that it was given. The patterns of SORT BY and GET are no keys. KEYS,
// SCAN or FLUSHDB touch all keys, and name none: no positions, and true.
func AppendKeys(dst []int, args []any) ([]int, bool) {
	r := find(args)
	if r == nil || r.Anywhere || !r.fits(len(args)) {
		return dst, false
	}
	from := len(dst)
	if r.First > 0 {
		for i := int(r.First); i <= fromEnd(r.Last, len(args)); i += int(r.Step) {
			dst = append(dst, i)
		}
	}
	ok := true
	switch {
	case r.keys != nil:
		dst, ok = r.keys(dst, args)
	case r.NumKeys > 0:
		least := 1
		if r.Group == "scripting" {
			least = 0
		}
		dst, ok = counted(dst, args, int(r.NumKeys), 1, least)
	}
	if !ok {
		return dst[:from], false
	}
	return dst, true
}

func fromEnd(i int8, n int) int {
	if i < 0 {
		return n + int(i)
	}
	return int(i)
}

// counted appends as many positions as the argument at says, those after it.
func counted(dst []int, args []any, at, step, least int) ([]int, bool) {
	n, ok := number(arg(args, at))
	if !ok || n < int64(least) || n > int64((len(args)-at-1)/step) {
		return dst, false
	}
	for i := range int(n) {
		dst = append(dst, at+1+i*step)
	}
	return dst, true
}

func everySecond(dst []int, args []any) ([]int, bool) { return counted(dst, args, 1, 2, 1) }

func stored(dst []int, args []any, options map[string]int8, from int) ([]int, bool) {
	at, ok := storePosition(args, options, from)
	if ok && at > 0 {
		dst = append(dst, at)
	}
	return dst, ok
}

// The options of commands that may store their result, and how many values each has.
var (
	sortOptions = map[string]int8{"by": 1, "get": 1, "limit": 2, "asc": 0, "desc": 0, "alpha": 0, "store": 1}
	geoOptions  = map[string]int8{
		"withcoord": 0, "withdist": 0, "withhash": 0, "count": 1, "any": 0, "asc": 0, "desc": 0, "store": 1, "storedist": 1,
	}
)

// storePosition returns the position of the key after the last STORE or STOREDIST, which is the one
// that counts, and 0 where there is none.
func storePosition(args []any, options map[string]int8, from int) (at int, ok bool) {
	for i := from; i < len(args); i++ {
		var low [longestName]byte
		n, fits := lower(low[:], textOf(args[i]))
		if !fits {
			return 0, false
		}
		values, ok := options[string(low[:n])]
		if !ok || i+int(values) >= len(args) {
			return 0, false
		}
		if string(low[:n]) == "store" || string(low[:n]) == "storedist" {
			at = i + 1
		}
		i += int(values)
	}
	return at, true
}

// streams finds the keys of XREAD and XREADGROUP: the first half of what follows STREAMS.
func streams(dst []int, args []any) ([]int, bool) {
	r, ok := readStream(args)
	if !ok {
		return dst, false
	}
	for i := r.first; i <= r.last; i++ {
		dst = append(dst, i)
	}
	return dst, true
}

// migrated finds the keys of MIGRATE: the one at 3, or where that is empty those after KEYS.
func migrated(dst []int, args []any) ([]int, bool) {
	key, ok := text(arg(args, 3))
	if !ok || key != "" {
		return dst, true // that at 3, which is there already
	}
	for i := 6; i < len(args); i++ {
		o := textOf(args[i])
		switch {
		case foldEqual(o, "copy"), foldEqual(o, "replace"):
		case foldEqual(o, "auth"):
			i++
		case foldEqual(o, "auth2"):
			i += 2
		case foldEqual(o, "keys"):
			dst = dst[:len(dst)-1]
			for i++; i < len(args); i++ {
				dst = append(dst, i)
			}
			return dst, true
		default:
			return dst, false
		}
	}
	return dst, true
}
