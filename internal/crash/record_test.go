package main

import (
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func TestWhatIsLeftIsSeen(t *testing.T) {
	t.Parallel()
	primary, record := redistest.Start(t).Client(t), redistest.Start(t).Client(t)
	ctx := t.Context()
	wants := func(undelivered int, unsettled string) {
		t.Helper()
		r, err := left(ctx, primary, record)
		if err != nil || r.undelivered != undelivered || !strings.HasPrefix(r.unsettled, unsettled) || (r.unsettled == "") != (unsettled == "") {
			t.Errorf("%+v, %v; want %d and %q", r, err, undelivered, unsettled)
		}
	}
	wants(0, "") // nothing has tripped
	record.HSet(ctx, stateKey, "id", "me", "floor", "5-0", "doubt", "0-0")
	add := func(stream, id, header string) {
		t.Helper()
		if err := record.XAdd(ctx, &redis.XAddArgs{Stream: prefix + stream, ID: id, Values: []string{header, "set", "k", "v"}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	add("journal:4", "5-0", "w||3|")
	wants(0, "") // the position is absent, and everything settled
	add("journal", "6-0", "o|||")
	wants(0, "") // a marker
	add("journal", "7-0", "w||3|")
	wants(1, "")
	primary.Set(ctx, positionMarker+"me", "7-0 letter=x", 0)
	wants(0, "delivered up to 7-0")
	record.HSet(ctx, stateKey, "floor", "7-0", "doubt", "8-0")
	wants(0, "in doubt up to 8-0")
	record.HSet(ctx, stateKey, "doubt", "7-0")
	wants(0, "")
}
