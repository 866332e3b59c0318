package check_test

import (
	"slices"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/crash/check"
	"github.com/redis-fallback/fallback/internal/redistest"
)

func TestMirrored(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	primary, local := redistest.Start(t).Client(t), redistest.Start(t).Client(t)
	do := func(onLocal bool, args ...any) {
		t.Helper()
		rdb := primary
		if onLocal {
			rdb = local
		}
		if err := rdb.Do(ctx, args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, where := range []bool{false, true} {
		do(where, "set", "same", 1)
		do(where, "rpush", "list", 1, 2)
		do(where, "sadd", "set", "a", "b")
		do(where, "zadd", "zset", 1, "a")
		do(where, "hset", "hash", "f", "v")
		do(where, "xadd", "stream", "1-1", "f", "v")
		do(where, "set", "value", where)
		do(where, "set", "crash:server", where)
		do(where, "set", "fallback:x", where)
	}
	do(false, "set", "absent", 1)
	do(true, "set", "extra", 1)
	do(true, "set", "goes", 1, "px", 300)
	do(false, "set", "type", 1)
	do(true, "rpush", "type", 1)
	do(false, "set", "expiry", 1, "ex", 100)
	do(true, "set", "expiry", 1, "ex", 200)
	do(false, "set", "forever", 1)
	do(true, "set", "forever", 1, "ex", 200)
	do(false, "set", "near", 1, "px", 100_500)
	do(true, "set", "near", 1, "px", 100_000)
	w, err := check.Mirrored(ctx, primary, local, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var wrong []string
	for _, x := range w.Wrong {
		wrong = append(wrong, x.Key)
	}
	if want := []string{"expiry", "extra", "forever", "type", "value"}; !slices.Equal(wrong, want) {
		t.Errorf("wrong are %v, want %v", w.Wrong, want)
	}
	if w.Keys != 12 || w.Held != 7 || w.Absent() != 1 {
		t.Errorf("%d keys, %d held, %d absent", w.Keys, w.Held, w.Absent())
	}
}
