package mirror

import (
	"fmt"
	"strconv"
)

// streamParts reads a stream: its entries, what it remembers of those that are gone, its groups with
// their consumers, and what these have not acknowledged.
type streamParts struct {
	a      *assembly
	ids    map[string]bool
	groups []string
}

func (s *streamParts) begin() {
	s.ids = map[string]bool{}
	s.entries("-")
}

func (s *streamParts) ask(take func([]any), args ...any) {
	s.a.next = args
	s.a.expects = func(reply any) {
		list, ok := reply.([]any)
		if !ok {
			s.a.left = leftChanged
			return
		}
		take(list)
	}
}

func (s *streamParts) do(args ...string) { s.a.Commands = append(s.a.Commands, args) }

func (s *streamParts) entries(from string) {
	s.ask(func(list []any) {
		last := ""
		for _, v := range list {
			e, _ := v.([]any)
			if len(e) != 2 {
				s.a.left = leftUnknown
				return
			}
			last, _ = e[0].(string)
			s.ids[last] = true
			s.do(append([]string{"xadd", s.a.Key, last}, s.a.texts(e[1])...)...)
			s.a.n++
		}
		if len(list) == partElements {
			s.entries("(" + last)
			return
		}
		s.ask(s.self, "xinfo", "stream", s.a.Key)
	}, "xrange", s.a.Key, from, "+", "count", partElements)
}

// self takes what the stream says of itself.
func (s *streamParts) self(list []any) {
	m := fieldsOf(list)
	if len(s.ids) == 0 { // there is no other way to an empty one
		s.do("xgroup", "create", s.a.Key, "empty", "0", "mkstream")
		s.do("xgroup", "destroy", s.a.Key, "empty")
	}
	set := []string{"xsetid", s.a.Key, m["last-generated-id"]}
	if added := m["entries-added"]; added != "" { // Redis 7
		set = append(set, "entriesadded", added, "maxdeletedid", m["max-deleted-entry-id"])
	}
	s.do(set...)
	s.ask(func(list []any) {
		for _, v := range list {
			g, _ := v.([]any)
			m := fieldsOf(g)
			create := []string{"xgroup", "create", s.a.Key, m["name"], m["last-delivered-id"]}
			if read := m["entries-read"]; read != "" {
				create = append(create, "entriesread", read)
			}
			s.do(create...)
			s.groups = append(s.groups, m["name"])
		}
		s.group()
	}, "xinfo", "groups", s.a.Key)
}

// group asks for the next group.
func (s *streamParts) group() {
	if len(s.groups) == 0 {
		return
	}
	name := s.groups[0]
	s.groups = s.groups[1:]
	s.ask(func(list []any) {
		for _, v := range list {
			c, _ := v.([]any)
			s.do("xgroup", "createconsumer", s.a.Key, name, fieldsOf(c)["name"])
		}
		s.pending(name, "-")
	}, "xinfo", "consumers", s.a.Key, name)
}

func (s *streamParts) pending(group, from string) {
	s.ask(func(list []any) {
		last := ""
		for _, v := range list {
			p, _ := v.([]any)
			if len(p) != 4 {
				s.a.left = leftUnknown
				return
			}
			last = fmt.Sprint(p[0])
			if !s.ids[last] {
				// XCLAIM does not take an entry that was deleted, and nothing else makes it pending.
				s.a.left = leftUnknown
				return
			}
			s.do("xclaim", s.a.Key, group, fmt.Sprint(p[1]), "0", last, "idle", fmt.Sprint(p[2]), "retrycount", fmt.Sprint(p[3]), "force", "justid")
			s.a.n++
		}
		if len(list) == partElements {
			s.pending(group, "("+last)
			return
		}
		s.group()
	}, "xpending", s.a.Key, group, from, "+", partElements)
}

// fieldsOf reads a list of names and values, of which only the plain ones are wanted.
func fieldsOf(list []any) map[string]string {
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		name, _ := list[i].(string)
		switch v := list[i+1].(type) {
		case string:
			m[name] = v
		case int64:
			m[name] = strconv.FormatInt(v, 10)
		}
	}
	return m
}
