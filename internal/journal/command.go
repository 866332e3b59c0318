package journal

import (
	"slices"
	"strconv"
)

// source is a command of an entry.
type source struct {
	id    ID
	index int
}

// command is one command for the primary. It may stand for several writes of the journal.
type command struct {
	db    string // "" the home database
	args  []string
	due   int64 // the deadline, whose time left is the last argument; 0 none
	from  source
	folds int  // writes it stands for
	wall  bool // it reaches where its arguments do not say
	each  int  // its arguments come in groups of so many, from commands of one key each; 0 for others
}

// wire returns the arguments as they are sent when local's clock says now.
func (c *command) wire(now int64) []string {
	if c.due == 0 {
		return c.args
	}
	return append(slices.Clip(c.args), strconv.FormatInt(max(c.due-now, 1), 10))
}

// apart returns the commands that were merged into c.
func (c *command) apart() []command {
	name := "set"
	if c.each == 1 {
		name = "unlink"
	}
	var all []command
	for rest := c.args[1:]; len(rest) >= c.each; rest = rest[c.each:] {
		all = append(all, command{db: c.db, args: append([]string{name}, rest[:c.each]...), from: c.from, folds: 1})
	}
	return all
}
