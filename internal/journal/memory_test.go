package journal_test

import (
	"context"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

func TestADrainBetweenServersInMemory(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	open := func(db int) *redis.Client {
		rdb := redis.NewClient(&redis.Options{
			Addr: miniredis.RunT(t).Addr(), DB: db, MaxRetries: -1, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		t.Cleanup(func() { _ = rdb.Close() })
		return rdb
	}
	local, primary := open(journal.DefaultDatabase), open(0)
	s := journal.New(local, "test", journal.DefaultDatabase)
	v, err := s.Open(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = s.Change(ctx, v.Record, journal.Change{What: journal.Trip}); err != nil {
		t.Fatal(err)
	}
	primary.Set(ctx, "l", "no list", 0)
	for _, line := range []string{"incr n", "incr n", "set a 1", "set b 2", "rpush l x"} {
		for _, e := range entries(1, line) {
			if err := local.XAdd(ctx, &redis.XAddArgs{Stream: "fallback:test:journal", Values: e.Fields()}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	d := &journal.Drain{Store: s, Primary: primary, ID: "d"}
	v, err = d.Return(ctx, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if v.Record.Serving != journal.Primary || primary.Get(ctx, "n").Val() != "2" || primary.Get(ctx, "b").Val() != "2" {
		t.Errorf("%+v", v.Record)
	}
	letters, err := s.Letters(ctx, 0)
	if err != nil || len(letters) != 1 {
		t.Fatalf("%+v, %v", letters, err)
	}
	primary.Del(ctx, "l")
	if err := d.Retry(ctx, letters[0].ID); err != nil {
		t.Error(err)
	}
	if got := primary.LLen(ctx, "l").Val(); got != 1 {
		t.Errorf("%d in the list", got)
	}
}
