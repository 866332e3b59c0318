package journal

import (
	"errors"
	"strings"
)

var errReply = errors.New("redis fallback: a reply of local cannot be read")

// slabSize is how many small things are made at once.
const slabSize = 512

// parseRange reads the reply of XRANGE from its bytes. All text is in one string: the general way makes
// several objects of every argument.
func parseRange(raw string) ([]Entry, error) {
	p := replyParser{raw}
	if strings.HasPrefix(raw, "-") {
		return nil, replyError(strings.TrimSuffix(raw[1:], "\r\n"))
	}
	n, ok := p.count('*')
	if !ok {
		return nil, errReply
	}
	entries := make([]Entry, n)
	d := decoder{slab: slabSize}
	var slab []string // the fields of many entries
	for at := range entries {
		two, ok1 := p.count('*')
		id, ok2 := p.text()
		m, ok3 := p.count('*')
		if !ok1 || !ok2 || !ok3 || two != 2 {
			return nil, errReply
		}
		if len(slab) < m {
			slab = make([]string, max(m, slabSize))
		}
		fields := slab[:m:m]
		slab = slab[m:]
		for i := range fields {
			if fields[i], ok = p.text(); !ok {
				return nil, errReply
			}
		}
		e := &entries[at]
		if err := d.decode(e, id, fields); err != nil {
			e.bad, e.Commands, e.Deadlines = err, [][]string{fields}, nil
		}
	}
	return entries, nil
}

type replyParser struct{ rest string }

func (p *replyParser) count(kind byte) (int, bool) {
	s := p.rest
	if s == "" || s[0] != kind {
		return 0, false
	}
	n, i := 0, 1
	for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
		if n = 10*n + int(s[i]-'0'); n > len(s) { // nothing has fewer bytes than items
			return 0, false
		}
	}
	if i == 1 || !strings.HasPrefix(s[i:], "\r\n") {
		return 0, false
	}
	p.rest = s[i+2:]
	return n, n <= len(p.rest)
}

func (p *replyParser) text() (string, bool) {
	n, ok := p.count('$')
	if !ok || n > len(p.rest)-2 {
		return "", false
	}
	s := p.rest[:n]
	p.rest = p.rest[n+2:]
	return s, true
}
