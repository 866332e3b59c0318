// Command gen writes commands_gen.go of package command: what COMMAND and COMMAND DOCS of a real
// redis-server say, and what later.txt says of newer commands.
//
// It starts the redis-server that it finds, which must be of version 7.0, or asks the one at -addr.
package main

import (
	"context"
	"flag"
	"log"
	"os"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redis-fallback/fallback/internal/redistest"
)

func main() {
	addr := flag.String("addr", "", "address of a server to ask, instead of starting one")
	out := flag.String("o", "commands_gen.go", "file to write")
	flag.Parse()
	if err := run(context.Background(), *addr, *out); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, out string) error {
	opts := &redis.Options{
		Addr:                     addr,
		Protocol:                 2,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if addr == "" {
		dir, err := os.MkdirTemp("", "gen")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		server, err := redistest.Launch(dir)
		if err != nil {
			return err
		}
		defer server.Kill()
		opts.Addr = server.Addr()
	}
	rdb := redis.NewClient(opts)
	defer rdb.Close()
	source, err := Generate(ctx, rdb)
	if err != nil {
		return err
	}
	return os.WriteFile(out, source, 0o644) //nolint:gosec // source code
}
