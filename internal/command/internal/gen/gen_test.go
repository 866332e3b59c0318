package main_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	gen "github.com/redis-fallback/fallback/internal/command/internal/gen"
	"github.com/redis-fallback/fallback/internal/redistest"
)

func TestTheTableIsUpToDate(t *testing.T) {
	t.Parallel()
	o := redistest.Start(t).Options()
	o.Protocol = 2
	rdb := redis.NewClient(o)
	defer rdb.Close()
	want, err := gen.Generate(context.Background(), rdb)
	if errors.Is(err, gen.ErrVersion) {
		t.Skip("redis-server is not of version " + gen.Version + ", from which the table was made")
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../commands_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("commands_gen.go is not what the generator writes: run go generate in internal/command")
	}
}
