package mirror

import (
	"maps"
	"slices"
	"strings"
)

// body is a payload without the version and checksum behind it.
func body(dump string) string { return dump[:max(len(dump)-10, 0)] }

// typeOf tells the type of a key from the commands that make it.
func typeOf(commands [][]string) string {
	name := commands[0][0]
	if name[0] == 'x' {
		return "stream"
	}
	return name
}

// plainValue writes a value in the one way that equal values have in common.
func plainValue(commands [][]string) []string {
	pairs := map[string]string{}
	var list []string
	for _, c := range commands {
		args := c[2:]
		switch c[0] {
		case "set", "append":
			if len(list) == 0 {
				list = append(list, "")
			}
			list[0] += args[0]
		case "rpush":
			list = append(list, args...)
		case "sadd":
			for _, m := range args {
				pairs[m] = ""
			}
		case "hset":
			for i := 0; i+1 < len(args); i += 2 {
				pairs[args[i]] = args[i+1]
			}
		case "zadd":
			for i := 0; i+1 < len(args); i += 2 {
				pairs[args[i+1]] = args[i]
			}
		case "hpexpire": // when fields expire is known to the millisecond, and read at two times
		case "xsetid":
			list = append(list, "xsetid "+args[0])
		case "xclaim": // less the time since it was delivered
			list = append(list, strings.Join(append(slices.Clone(args[:4]), args[6:]...), "\x00"))
		case "xgroup": // how many entries a group has read is a guess of the server's
			list = append(list, strings.Join(c[:min(len(c), 5)], "\x00"))
		default: // of a stream
			list = append(list, c[0]+"\x00"+strings.Join(c[1:], "\x00"))
		}
	}
	if len(list) == 1 {
		list[0] = registers(list[0])
	}
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		list = append(list, name, pairs[name])
	}
	return list
}

// registers leaves out of a HyperLogLog the cardinality that the server has counted last, or not yet: a
// PFCOUNT is what changes it.
func registers(value string) string {
	const cached, from = 8, 16 // behind HYLL and the encoding
	if len(value) < from || !strings.HasPrefix(value, "HYLL") || value[4] > 1 {
		return value
	}
	return value[:cached] + value[from:]
}
