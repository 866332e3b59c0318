package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// Where the hook keeps its record on local, and its position on the primary.
const (
	recordName     = "upstash"
	recordDatabase = 15
	prefix         = "fallback:" + recordName + ":"
	stateKey       = prefix + "state"
	proberKey      = prefix + "lease:probe"
	positionMarker = prefix + "position:"

	positionPattern = positionMarker + "*" // braces mean nothing in a pattern
)

// record returns a client of local that is in the database of the record.
func (t *trial) record() *redis.Client {
	o := t.local.Options()
	o.DB = recordDatabase
	return redis.NewClient(o)
}

// rest is what the record and the journal say that is not done yet, when all should be well.
type rest struct {
	undelivered int    // entries that hold commands and stand behind the position
	unsettled   string // what local has not written down of it, or ""
}

// left reads it. Where the primary has lost the position, all counts from where local has settled it.
func left(ctx context.Context, primary, record *redis.Client) (rest, error) {
	fields, err := record.HMGet(ctx, stateKey, "id", "floor", "doubt").Result()
	if err != nil {
		return rest{}, err
	}
	id, _ := fields[0].(string)
	if id == "" {
		return rest{}, nil // nothing has tripped
	}
	floorText, _ := fields[1].(string)
	doubtText, _ := fields[2].(string)
	floor, doubt := journal.ParseID(floorText), journal.ParseID(doubtText)
	text, err := primary.Get(ctx, positionMarker+id).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return rest{}, err
	}
	at := floor
	if text != "" {
		text, _, _ = strings.Cut(text, " ")
		at = journal.ParseID(text)
	}
	var r rest
	switch {
	case at.After(floor):
		r.unsettled = fmt.Sprintf("delivered up to %s, settled up to %s", at, floor)
	case doubt.After(floor):
		r.unsettled = fmt.Sprintf("in doubt up to %s, settled up to %s", doubt, floor)
	}
	streams, err := record.Keys(ctx, prefix+"journal*").Result()
	if err != nil {
		return rest{}, err
	}
	for _, stream := range streams {
		entries, err := record.Do(ctx, "XRANGE", stream, "("+at.String(), "+").Slice()
		if err != nil {
			return rest{}, fmt.Errorf("reading the journal: %w", err)
		}
		for _, e := range entries {
			if pair, ok := e.([]any); ok && len(pair) == 2 && hasCommands(pair[1]) {
				r.undelivered++
			}
		}
	}
	return r, nil
}

// hasCommands reads the header of an entry, its first field: an opening marker has none.
func hasCommands(fields any) bool {
	all, _ := fields.([]any)
	if len(all) == 0 {
		return false
	}
	kind, _, _ := strings.Cut(fmt.Sprint(all[0]), "|")
	return kind != "o"
}
