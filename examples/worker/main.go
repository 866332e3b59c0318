// A job worker on lists: a job moves to a list of what is being done before it is done, so that none is lost
// with its worker.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/examples/internal/embedded"
	"github.com/redis/go-redis/v9"
)

const (
	waiting = "jobs:waiting"
	doing   = "jobs:doing"
	done    = "jobs:done" // how many were
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	servers, err := embedded.Start(out)
	if err != nil {
		return err
	}
	defer servers.Close()
	rdb, h, err := fallback.FromEnv(servers.Options()...)
	if err != nil {
		return err
	}
	defer rdb.Close()
	defer h.Shutdown(context.Background())

	go produce(ctx, rdb)
	return work(ctx, rdb, func(ctx context.Context, job string) error {
		fmt.Fprintln(out, "did", job, "while", h.Serving(), "served")
		return nil
	})
}

// produce adds five jobs a second.
func produce(ctx context.Context, rdb *redis.Client) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := add(ctx, rdb, fmt.Sprint("job ", n)); err != nil && ctx.Err() == nil {
				log.Println("adding a job:", err)
			}
		}
	}
}

func add(ctx context.Context, rdb *redis.Client, job string) error {
	return rdb.LPush(ctx, waiting, job).Err()
}

// work does the jobs until ctx ends. One that fails, and what a worker that died has left in doing, is for
// whoever cleans up there: it is not done twice by itself.
func work(ctx context.Context, rdb *redis.Client, do func(context.Context, string) error) error {
	for {
		job, err := rdb.BLMove(ctx, waiting, doing, "RIGHT", "LEFT", time.Second).Result()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, redis.Nil):
			continue
		case err != nil: // both servers are gone, say
			log.Println("waiting for a job:", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		if err := do(ctx, job); err != nil {
			log.Println("doing", job+":", err)
			continue
		}
		// A transaction, so that a job is counted if, and only if, it is off the list.
		_, err = rdb.TxPipelined(ctx, func(tx redis.Pipeliner) error {
			tx.LRem(ctx, doing, 1, job)
			tx.Incr(ctx, done)
			return nil
		})
		if err != nil && ctx.Err() == nil {
			log.Println("finishing", job+":", err)
		}
	}
}
