package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Where the hook keeps its record on local, and its position on the primary.
const (
	recordName     = "upstash"
	recordDatabase = 15
	prefix         = "fallback:" + recordName + ":"
	stateKey       = prefix + "state"
	positionMarker = prefix + "position:"

	positionPattern = positionMarker + "*" // braces mean nothing in a pattern
)

// record returns a client of local that is in the database of the record.
func (t *trial) record() *redis.Client {
	o := t.local.Options()
	o.DB = recordDatabase
	return redis.NewClient(o)
}

// undelivered counts the entries of the journal, open or shut, that hold commands and stand behind the
// position.
func undelivered(ctx context.Context, primary, record *redis.Client) (int, error) {
	id, err := record.HGet(ctx, stateKey, "id").Result()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	position, err := primary.Get(ctx, positionMarker+id).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, err
	}
	from := "-"
	if at, _, _ := strings.Cut(position, " "); at != "" {
		from = "(" + at
	}
	streams, err := record.Keys(ctx, prefix+"journal*").Result()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, stream := range streams {
		entries, err := record.Do(ctx, "XRANGE", stream, from, "+").Slice()
		if err != nil {
			return 0, fmt.Errorf("reading the journal: %w", err)
		}
		for _, e := range entries {
			if pair, ok := e.([]any); ok && len(pair) == 2 && hasCommands(pair[1]) {
				n++
			}
		}
	}
	return n, nil
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
