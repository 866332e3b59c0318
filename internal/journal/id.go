package journal

import (
	"cmp"
	"strconv"
	"strings"
)

// ID is the id of an entry: milliseconds of local's clock, and a number among those of one
// millisecond. Ids only grow, also where the clock steps back.
type ID struct{ Ms, Seq uint64 }

// ParseID reads "ms-seq". What is not an id is 0-0, before every entry.
func ParseID(s string) ID {
	ms, seq, _ := strings.Cut(s, "-")
	a, err1 := strconv.ParseUint(ms, 10, 64)
	b, err2 := strconv.ParseUint(seq, 10, 64)
	if err1 != nil || err2 != nil {
		return ID{}
	}
	return ID{a, b}
}

func (id ID) String() string {
	return strconv.FormatUint(id.Ms, 10) + "-" + strconv.FormatUint(id.Seq, 10)
}

// Compare is -1, 0 or 1, as id is before, at or after other.
func (id ID) Compare(other ID) int {
	if c := cmp.Compare(id.Ms, other.Ms); c != 0 {
		return c
	}
	return cmp.Compare(id.Seq, other.Seq)
}

// After reports whether id is beyond other.
func (id ID) After(other ID) bool { return id.Compare(other) > 0 }
