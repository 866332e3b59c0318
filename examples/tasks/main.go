// Background tasks with asynq, client and server on one client that has the hook. asynq promises that a task
// runs at least once: one that a switch meets may run twice, so what it does must bear that.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/examples/internal/embedded"
	"github.com/redis/go-redis/v9"
)

const welcome = "mail:welcome"

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

	srv, err := serve(rdb, func(_ context.Context, t *asynq.Task) error {
		fmt.Fprintf(out, "welcomed %s while %v served\n", t.Payload(), h.Serving())
		return nil
	})
	if err != nil {
		return err
	}
	defer srv.Shutdown()
	client := asynq.NewClientFromRedisClient(rdb)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := enqueue(ctx, client, fmt.Sprint("user ", n)); err != nil && ctx.Err() == nil {
				log.Println("enqueueing:", err)
			}
		}
	}
}

func enqueue(ctx context.Context, client *asynq.Client, user string) error {
	_, err := client.EnqueueContext(ctx, asynq.NewTask(welcome, []byte(user)), asynq.MaxRetry(5), asynq.Timeout(time.Minute))
	return err
}

// serve starts a server. Each look for a task is a script: on local every one is an entry of the journal, and
// on the primary a billed command, so it looks no more often than it must.
func serve(rdb *redis.Client, welcomed func(context.Context, *asynq.Task) error) (*asynq.Server, error) {
	srv := asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency: 2, LogLevel: asynq.WarnLevel, TaskCheckInterval: time.Second,
	})
	mux := asynq.NewServeMux()
	mux.HandleFunc(welcome, welcomed)
	return srv, srv.Start(mux)
}
