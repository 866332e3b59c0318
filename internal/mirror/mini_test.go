package mirror_test

import (
	"log/slog"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis/go-redis/v9"
)

func TestOnMiniredis(t *testing.T) {
	t.Parallel()
	s := miniredis.RunT(t)
	rdb := redis.NewClient(options(s.Addr(), 15))
	defer rdb.Close()
	if err := rdb.Set(t.Context(), fenceKey, "id 1 primary", 0).Err(); err != nil {
		t.Fatal(err)
	}
	m := mirror.New(mirror.Config{
		RDB: rdb, Name: "test", Database: 15, Process: "p", Fence: func() string { return "id 1 primary" },
		Log: func(_ slog.Level, msg string, attrs ...slog.Attr) { t.Log(msg, attrs) },
	})
	m.Start()
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 100 { // until the clocks agree that it is later
		write(m, set("a", "1"))
		if err := m.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if v, _ := s.DB(0).Get("a"); v != "1" {
		t.Errorf("a on local is %q, %+v\n%v\n%v", v, m.Stats(), s.DB(0).Keys(), s.DB(15).Keys())
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
