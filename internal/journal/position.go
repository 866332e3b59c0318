package journal

import "strings"

// position is how far the journal has been delivered: the value of a key on the primary that every
// transaction of a drain compares and sets.
type position struct {
	id      ID
	present bool
	skipped bool   // what was in doubt up to id has not been sent again, and is to be buried
	letter  string // a dead letter that was sent with this value
	letters string // or those of the redo list, up to this one
}

func parsePosition(text string) position {
	p := position{present: true}
	for i, word := range strings.Fields(text) {
		name, value, _ := strings.Cut(word, "=")
		switch {
		case i == 0:
			p.id = ParseID(word)
		case name == "skipped":
			p.skipped = true
		case name == "letter":
			p.letter = value
		case name == "letters":
			p.letters = value
		}
	}
	return p
}

func (p position) String() string {
	s := p.id.String()
	if p.skipped {
		s += " skipped"
	}
	if p.letter != "" {
		s += " letter=" + p.letter
	}
	if p.letters != "" {
		s += " letters=" + p.letters
	}
	return s
}
