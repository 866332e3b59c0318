package mirror

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// How much of a key is read, and written, at once.
const (
	partElements = 1000
	partBytes    = 256 << 10
)

// assembly is a key that is read part by part, all of a batch in the same round trips. What is written to
// it meanwhile is not a danger: the load is in order only if nothing was.
type assembly struct {
	*found
	r       *reader
	kind    string
	next    []any // the next command; nil: done
	size    int64
	n       int
	at      int // of a list or string
	fields  []string
	stream  *streamParts
	expects func(reply any) // of next
}

// parts reads keys type by type: TYPE and PTTL, and a command for each part.
func (r *reader) parts(ctx context.Context, db string, keys []string) ([]found, error) {
	rdb := r.in(db)
	all := make([]found, len(keys))
	kinds, expiries := make([]*redis.StatusCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
	pipe := rdb.Pipeline()
	for i, key := range keys {
		kinds[i], expiries[i] = pipe.Type(ctx, key), pipe.PTTL(ctx, key)
	}
	began := time.Now()
	if err := r.exec(ctx, pipe); err != nil {
		return nil, err
	}
	open := make([]*assembly, 0, len(keys))
	for i, key := range keys {
		all[i] = found{Item: Item{DB: db, Key: key, Began: began, Ended: time.Now()}}
		a := &assembly{found: &all[i], r: r, kind: kinds[i].Val()}
		a.expires(expiries[i])
		if a.kind == "none" {
			a.Absent = true
		}
		if a.Absent || a.left != leftNothing {
			continue
		}
		if a.begin(); a.next != nil {
			open = append(open, a)
		}
	}
	for len(open) > 0 {
		pipe := rdb.Pipeline()
		replies := make([]*redis.Cmd, len(open))
		for i, a := range open {
			replies[i] = pipe.Do(ctx, a.next...)
		}
		if err := r.exec(ctx, pipe); err != nil {
			return nil, err
		}
		ended := time.Now()
		still := open[:0]
		for i, a := range open {
			a.take(replies[i])
			if a.Ended = ended; a.next != nil {
				still = append(still, a)
			} else {
				a.finish()
			}
		}
		open = still
	}
	return all, nil
}

// begin sets the first command.
func (a *assembly) begin() {
	switch a.kind {
	case "string":
		a.nextRange("getrange", partBytes, a.takeString)
	case "list":
		a.nextRange("lrange", partElements, a.takeList)
	case "hash":
		a.nextScan("hscan", "0")
	case "set":
		a.nextScan("sscan", "0")
	case "zset":
		a.nextScan("zscan", "0")
	case "stream":
		a.stream = &streamParts{a: a}
		a.stream.begin()
	default:
		a.left = leftUnknown
	}
}

// take takes the reply to next.
func (a *assembly) take(cmd *redis.Cmd) {
	a.next = nil
	if err := cmd.Err(); err != nil {
		if a.fields != nil && redis.HasErrorPrefix(err, "unknown command") {
			a.r.plain.Store(true)
			return
		}
		// Of another type now, or gone: WRONGTYPE, no such key.
		a.left = leftChanged
		return
	}
	a.expects(cmd.Val())
	if a.r.bytes > 0 && a.size > a.r.bytes || a.r.most > 0 && a.n > a.r.most {
		a.next, a.left = nil, leftLarge
	}
}

// finish ends what was read.
func (a *assembly) finish() {
	if a.left != leftNothing {
		a.Commands = nil
		return
	}
	if len(a.Commands) == 0 {
		a.left = leftChanged // an empty one is none: it went after TYPE
		return
	}
}

func (a *assembly) nextRange(name string, part int, take func(any)) {
	a.next, a.expects = []any{name, a.Key, a.at, a.at + part - 1}, take
}

func (a *assembly) takeString(reply any) {
	text, _ := reply.(string)
	name := "set"
	if len(a.Commands) > 0 {
		if name = "append"; text == "" {
			return
		}
	}
	a.Commands = append(a.Commands, []string{name, a.Key, text})
	a.size += int64(len(text))
	if len(text) == partBytes {
		a.at += partBytes
		a.nextRange("getrange", partBytes, a.takeString)
	}
}

func (a *assembly) takeList(reply any) {
	values := a.texts(reply)
	a.add("rpush", values, 1)
	if len(values) == partElements {
		a.at += partElements
		a.nextRange("lrange", partElements, a.takeList)
	}
}

func (a *assembly) nextScan(name, cursor string) {
	a.next = []any{name, a.Key, cursor, "count", partElements}
	a.expects = func(reply any) {
		list, _ := reply.([]any)
		if len(list) != 2 {
			a.left = leftChanged
			return
		}
		values := a.texts(list[1])
		switch name {
		case "hscan":
			for i := 0; i < len(values); i += 2 {
				a.fields = append(a.fields, values[i])
			}
			a.add("hset", values, 2)
		case "sscan":
			a.add("sadd", values, 1)
		case "zscan":
			for i := 0; i+1 < len(values); i += 2 {
				values[i], values[i+1] = values[i+1], values[i]
			}
			a.add("zadd", values, 2)
		}
		if cursor, _ := list[0].(string); cursor != "0" {
			a.nextScan(name, cursor)
		} else if name == "hscan" {
			a.nextFields()
		}
	}
}

// nextFields asks when the fields of a hash expire. A server before 7.4 does not know, and is asked once.
func (a *assembly) nextFields() {
	part := a.fields[:min(len(a.fields), partElements)]
	if len(part) == 0 || a.r.plain.Load() {
		return
	}
	a.next = []any{"hpttl", a.Key, "fields", len(part)}
	for _, field := range part {
		a.next = append(a.next, field)
	}
	a.expects = func(reply any) {
		list, _ := reply.([]any)
		for i, v := range list {
			if ms, ok := v.(int64); ok && ms >= 0 && i < len(part) {
				// A local that does not know it refuses the key, which is better than a field that stays.
				a.Commands = append(a.Commands, []string{"hpexpire", a.Key, strconv.FormatInt(max(ms, 1), 10), "fields", "1", part[i]})
			}
		}
		a.fields = a.fields[len(part):]
		a.nextFields()
	}
}

// add adds commands that write values, which belong together by so many.
func (a *assembly) add(name string, values []string, each int) {
	a.n += len(values) / each
	for len(values) > 0 {
		part := values[:min(len(values), partElements*each)]
		values = values[len(part):]
		a.Commands = append(a.Commands, append([]string{name, a.Key}, part...))
	}
}

// texts reads a list of texts.
func (a *assembly) texts(reply any) []string {
	list, _ := reply.([]any)
	texts := make([]string, 0, len(list))
	for _, v := range list {
		text, _ := v.(string)
		a.size += int64(len(text))
		texts = append(texts, text)
	}
	return texts
}
