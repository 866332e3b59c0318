package journal

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxArguments bounds what one folded command may grow to.
const maxArguments = 1000

// chain is what is left of the writes of one key since the last barrier: a beginning that does not
// depend on what was there, operations, and a deadline.
type chain struct {
	db, key string
	base    base
	value   []string // of a base that is set, in parts
	from    source   // of the base
	folds   int      // writes in the base
	ops     []op
	first   [1]op          // most keys have one: it needs no memory of its own
	fields  map[string]int // of the last operations: HSET's values, or the HINCRBYs, by field

	deadline int64 // local's clock; 0 none
	due      bool  // it has to be sent
	dueFrom  source
	touched  bool // in this segment
	loose    slack
}

type base uint8

const (
	asItWas base = iota
	gone
	set
)

type op struct {
	how   how
	name  string
	args  []string
	sum   int64
	from  source
	folds int
}

// kill makes the key one that is not there.
func (c *chain) kill(from source) {
	for i := range c.ops {
		c.folds += c.ops[i].folds
	}
	c.base, c.value, c.from, c.folds = gone, nil, from, c.folds+1
	c.ops, c.fields, c.deadline, c.due = nil, nil, 0, false
}

// put makes the key one of this value.
func (c *chain) put(value string, from source) {
	c.kill(from)
	c.base, c.value = set, []string{value}
}

// pass lets the deadline pass if the key was gone when a command was written at ms. known is the
// deadline that this command has recorded.
func (c *chain) pass(ms, known int64, from source) {
	// An id may be ahead of the clock. A key that still has this deadline was there, and it is there until
	// its last millisecond is over.
	if c.deadline > 0 && ms > c.deadline && known != c.deadline {
		c.kill(from)
	}
}

// expire records the deadline after a command: known is 0 if there was none.
func (c *chain) expire(known int64, from source) {
	c.deadline, c.due, c.dueFrom = known, known > 0, from
}

// cost is how many commands it takes, but those that are merged over keys.
func (c *chain) cost() int {
	n := len(c.ops)
	if c.due && (n > 0 || c.base != set) || c.base == set && n == 0 && c.due {
		n++
	}
	return n
}

// add appends a command of this key, or folds it into those before. It returns how many bytes it holds
// more than before.
func (c *chain) add(h how, name string, args []string, from source) int {
	var last *op
	if len(c.ops) > 0 {
		last = &c.ops[len(c.ops)-1]
	}
	same := last != nil && last.how == h && last.name == name
	switch h {
	case howPersist:
		if c.base != asItWas || same { // it has no expiry
			return 0
		}
	case howAdd:
		return c.addNumber(last, name, args, from)
	case howField:
		return c.addField(last, name, args, from)
	case howAppend:
		if len(args) != 3 {
			h = howSingle
			break
		}
		if last == nil && c.base == set {
			c.value = append(c.value, args[2])
			c.folds++
			return len(args[2])
		}
		if same {
			last.args = append(last.args, args[2])
			last.folds++
			return len(args[2])
		}
	case howPairs:
		return c.addPairs(last, args, from)
	case howTail:
		if same && len(last.args)+len(args) <= maxArguments {
			return last.extend(args[2:])
		}
	case howScores:
		flags := scoreFlags(args)
		if flags < 0 {
			h = howSingle
			break
		}
		if same && int(last.sum) == flags && len(last.args)+len(args) <= maxArguments &&
			slices.EqualFunc(last.args[2:2+flags], args[2:2+flags], strings.EqualFold) {
			return last.extend(args[2+flags:])
		}
		c.push(op{how: h, name: name, args: slices.Clip(args), sum: int64(flags), from: from, folds: 1})
		return size(args)
	default:
	}
	c.push(op{how: h, name: name, args: slices.Clip(args), from: from, folds: 1})
	return size(args)
}

func (c *chain) push(o op) {
	if c.ops == nil {
		c.ops = c.first[:0]
	}
	c.ops = append(c.ops, o)
	if o.how != howField {
		c.fields = nil
	}
}

func (o *op) extend(args []string) int {
	o.args = append(o.args, args...)
	o.folds++
	return size(args)
}

func size(args []string) int {
	n := 0
	for _, a := range args {
		n += len(a) + 16
	}
	return n
}

// addNumber folds INCR, DECR, INCRBY and DECRBY while their sum is a number of 64 bits.
func (c *chain) addNumber(last *op, name string, args []string, from source) int {
	n, ok := int64(1), len(args) == 2
	if name == "incrby" || name == "decrby" {
		if ok = len(args) == 3; ok {
			var err error
			n, err = strconv.ParseInt(args[2], 10, 64)
			ok = err == nil
		}
	}
	if strings.HasPrefix(name, "decr") {
		ok = ok && n != math.MinInt64
		n = -n
	}
	if !ok {
		c.push(op{how: howSingle, name: name, args: slices.Clip(args), from: from, folds: 1})
		return size(args)
	}
	if last != nil && last.how == howAdd {
		if sum, fits := plus(last.sum, n); fits {
			last.sum = sum
			last.folds++
			return 0
		}
	}
	c.push(op{how: howAdd, name: name, sum: n, from: from, folds: 1})
	return len(c.key) + 64
}

// addField folds HINCRBYs, field by field: those of other fields between do not matter.
func (c *chain) addField(last *op, name string, args []string, from source) int {
	var n int64
	err := strconv.ErrSyntax
	if len(args) == 4 {
		n, err = strconv.ParseInt(args[3], 10, 64)
	}
	if err != nil {
		c.push(op{how: howSingle, name: name, args: slices.Clip(args), from: from, folds: 1})
		return size(args)
	}
	if last == nil || last.how != howField {
		c.fields = nil
	}
	if i, ok := c.fields[args[2]]; ok {
		if sum, fits := plus(c.ops[i].sum, n); fits {
			c.ops[i].sum = sum
			c.ops[i].folds++
			return 0
		}
	}
	if c.fields == nil {
		c.fields = make(map[string]int)
	}
	c.fields[args[2]] = len(c.ops)
	c.push(op{how: howField, name: name, args: []string{"hincrby", c.key, args[2]}, sum: n, from: from, folds: 1})
	return len(c.key) + len(args[2]) + 64
}

// addPairs folds HSETs: a field has the last value that it was given.
func (c *chain) addPairs(last *op, args []string, from source) int {
	if last == nil || last.how != howPairs || len(last.args)+len(args) > maxArguments {
		c.push(op{how: howPairs, name: "hset", args: []string{"hset", c.key}, from: from})
		last = &c.ops[len(c.ops)-1]
		c.fields = make(map[string]int)
	}
	last.folds++
	held := 0
	for i := 2; i+1 < len(args); i += 2 {
		if at, ok := c.fields[args[i]]; ok {
			held += len(args[i+1]) - len(last.args[at])
			last.args[at] = args[i+1]
			continue
		}
		c.fields[args[i]] = len(last.args) + 1
		last.args = append(last.args, args[i], args[i+1])
		held += size(args[i : i+2])
	}
	return held
}

// scoreFlags is how many options ZADD has, and -1 where it cannot be folded.
func scoreFlags(args []string) int {
	n := 0
	for _, a := range args[2:] {
		if !isFlag(a) {
			break
		}
		if strings.EqualFold(a, "incr") {
			return -1
		}
		n++
	}
	if (len(args)-2-n)%2 != 0 || len(args) == 2+n {
		return -1
	}
	return n
}

func isFlag(s string) bool {
	switch len(s) {
	case 2, 4:
		switch strings.ToLower(s) {
		case "nx", "xx", "gt", "lt", "ch", "incr":
			return true
		}
	}
	return false
}

func plus(a, b int64) (int64, bool) {
	c := a + b
	return c, (c > a) == (b > 0)
}

// command returns an operation as it is sent.
func (c *chain) command(o *op) command {
	args := o.args
	switch o.how {
	case howAdd:
		args = []string{"incrby", c.key, strconv.FormatInt(o.sum, 10)}
	case howField:
		args = append(slices.Clip(args), strconv.FormatInt(o.sum, 10))
	case howAppend:
		if len(args) > 3 {
			args = []string{args[0], args[1], strings.Join(args[2:], "")}
		}
	default:
	}
	return command{db: c.db, args: args, from: o.from, folds: o.folds}
}
