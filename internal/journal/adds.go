package journal

import (
	"slices"
	"strings"
)

// adds are the XADDs to one stream, and what the stream has. They may be there with their own ids, or with
// ids of the primary's if it was ahead.
type adds struct {
	ids     map[ID]bool // their own
	dropped map[ID]bool // taken away again
	trimmed bool        // the oldest may be gone
	asked   int         // how many entries were asked for
	entries []added     // what the stream has, the newest first
}

type added struct {
	id     ID
	fields []any
	taken  bool
}

// addsMore is how many entries beside its own are looked through, which others may have added since.
const addsMore = 100

func (a *adds) note(args []string) {
	i := idOfAdd(args)
	for _, option := range args[2:max(i, 2)] {
		a.trimmed = a.trimmed || strings.EqualFold(option, "maxlen") || strings.EqualFold(option, "minid")
	}
	if i < 0 {
		a.trimmed = true // nothing can be told by its absence
		return
	}
	if a.ids == nil {
		a.ids = map[ID]bool{}
	}
	a.ids[ParseID(args[i])] = true
}

func (a *adds) drop(ids []string) {
	if a.dropped == nil {
		a.dropped = map[ID]bool{}
	}
	for _, id := range ids {
		a.dropped[ParseID(id)] = true
	}
}

// read takes over the reply of XREVRANGE.
func (a *adds) read(reply []any) {
	for _, v := range reply {
		if pair, ok := v.([]any); ok && len(pair) == 2 {
			id, _ := pair[0].(string)
			fields, _ := pair[1].([]any)
			a.entries = append(a.entries, added{id: ParseID(id), fields: fields})
		}
	}
}

// judge tells what came of an XADD.
func (a *adds) judge(args []string) verdict {
	i := idOfAdd(args)
	if i < 0 {
		return verdict{} // the primary takes any
	}
	id := ParseID(args[i])
	same := func(e *added) bool {
		return slices.EqualFunc(e.fields, args[i+1:], func(v any, s string) bool { return v == any(s) })
	}
	older := false
	for j := len(a.entries) - 1; j >= 0; j-- {
		e := &a.entries[j]
		switch c := e.id.Compare(id); {
		case c < 0:
			older = true
		case c == 0 && same(e):
			return verdict{}
		case c > 0 && !e.taken && !a.ids[e.id] && same(e):
			e.taken = true // the primary has given it this id
			return verdict{}
		}
	}
	switch n := len(a.entries); {
	case a.dropped[id]:
		return verdict{}
	case n == 0 || id.After(a.entries[0].id) || !older && n == a.asked:
		if a.trimmed && n < a.asked {
			return verdict{}
		}
		return doubtful("for its stream was changed by others as well")
	case !older && a.trimmed: // the oldest are gone first
		return verdict{}
	}
	v := failed("ERR The ID specified in XADD is equal or smaller than the target stream top item")
	v.anew = true
	return v
}
