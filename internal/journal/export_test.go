package journal

import "strings"

// Fold returns the commands that entries become when local's clock says now.
func Fold(now int64, entries []Entry) []string {
	f := newFolder(now, "0", Bounds{Commands: 1 << 30, Bytes: 1 << 30, Entries: 1 << 30}, true, deadlines{}, &chains{})
	f.end = true
	for i := range entries {
		f.add(&entries[i])
	}
	var all []string
	for _, c := range f.finish() {
		line := strings.Join(c.wire(now), " ")
		if c.db != "" {
			line = c.db + ":" + line
		}
		all = append(all, line)
	}
	return all
}

// ParseRange returns how many entries a reply of XRANGE holds.
func ParseRange(raw string) (int, error) {
	entries, err := parseRange(raw)
	return len(entries), err
}
