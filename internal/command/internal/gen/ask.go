package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// fields are the flags of COMMAND that are written down, and the fields of Info they set.
var fields = []struct{ flag, field string }{
	{"write", "Write"},
	{"readonly", "ReadOnly"},
	{"blocking", "Blocking"},
	{"noscript", "NoScript"},
	{"no_multi", "NoMulti"},
	{"movablekeys", "Movable"},
}

// ask reads COMMAND and COMMAND DOCS of a server.
func ask(ctx context.Context, rdb *redis.Client) ([]line, error) {
	commands, err := rdb.Do(ctx, "command").Slice()
	if err != nil {
		return nil, err
	}
	reply, err := rdb.Do(ctx, "command", "docs").Slice()
	if err != nil {
		return nil, err
	}
	docs := map[string]map[string]any{}
	readDocs(docs, reply)
	var lines []line
	for _, c := range commands {
		c := c.([]any)
		l, err := fromServer(c, docs)
		if err != nil {
			return nil, err
		}
		subs := c[9].([]any)
		if len(subs) > 0 {
			l.flags = append(l.flags, "Container")
		}
		lines = append(lines, l)
		for _, sub := range subs {
			l, err := fromServer(sub.([]any), docs)
			if err != nil {
				return nil, err
			}
			lines = append(lines, l)
		}
	}
	return lines, nil
}

func fromServer(c []any, docs map[string]map[string]any) (line, error) {
	name := c[0].(string)
	doc := docs[name]
	if doc == nil {
		return line{}, fmt.Errorf("%s is not in COMMAND DOCS", name)
	}
	since, err := version(fmt.Sprint(doc["since"]))
	if err != nil {
		return line{}, fmt.Errorf("%s: %w", name, err)
	}
	l := line{
		name:  strings.ReplaceAll(name, "|", " "),
		group: fmt.Sprint(doc["group"]),
		since: since,
		arity: c[1].(int64),
		first: c[3].(int64),
		last:  c[4].(int64),
		step:  c[5].(int64),
		nums:  keyNumber(c[8].([]any)),
	}
	if channels(c[8].([]any)) {
		l.first, l.last, l.step = 0, 0, 0
	}
	for _, f := range fields {
		for _, flag := range c[2].([]any) {
			if flag == f.flag {
				l.flags = append(l.flags, f.field)
			}
		}
	}
	return l, nil
}

// keyNumber returns where the number of keys stands, by the command's key specifications. In all of
// 7.0 the keys follow it at once.
func keyNumber(specs []any) int64 {
	for _, spec := range specs {
		s := pairs(spec.([]any))
		find := pairs(s["find_keys"].([]any))
		if find["type"] == "keynum" {
			begin := pairs(pairs(s["begin_search"].([]any))["spec"].([]any))
			return begin["index"].(int64) + pairs(find["spec"].([]any))["keynumidx"].(int64)
		}
	}
	return 0
}

// channels reports that what COMMAND counts among the keys are the channels of sharded Pub/Sub.
func channels(specs []any) bool {
	for _, spec := range specs {
		for _, flag := range pairs(spec.([]any))["flags"].([]any) {
			if flag == "not_key" {
				return true
			}
		}
	}
	return false
}

func readDocs(docs map[string]map[string]any, reply []any) {
	for i := 0; i+1 < len(reply); i += 2 {
		doc := pairs(reply[i+1].([]any))
		docs[reply[i].(string)] = doc
		if subs, ok := doc["subcommands"].([]any); ok {
			readDocs(docs, subs)
		}
	}
}

// pairs reads a map, which RESP2 sends as names and values in turn.
func pairs(reply []any) map[string]any {
	m := make(map[string]any, len(reply)/2)
	for i := 0; i+1 < len(reply); i += 2 {
		m[fmt.Sprint(reply[i])] = reply[i+1]
	}
	return m
}

// version makes 704 of "7.4.0".
func version(s string) (int, error) {
	var major, minor int
	if _, err := fmt.Sscanf(s, "%d.%d", &major, &minor); err != nil {
		return 0, fmt.Errorf("version %q: %w", s, err)
	}
	return major*100 + minor, nil
}
