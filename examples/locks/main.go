// Locks with redsync that local never answers: a lock that two servers keep is none. While the primary refuses,
// nobody gets one, at once and with the reason; everything else goes on.
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

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/examples/internal/embedded"
	"github.com/redis/go-redis/v9"
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

	shop := newShop(rdb)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			order := fmt.Sprint("order ", n)
			switch err := shop.charge(ctx, order); {
			case ctx.Err() != nil:
			case errors.Is(err, errLater):
				fmt.Fprintln(out, order, "is charged later:", h.Serving(), "serves,", err)
			case err != nil:
				fmt.Fprintln(out, order, "is not charged:", err)
			default:
				fmt.Fprintln(out, order, "is charged")
			}
		}
	}
}

// errLater is that of an order which nobody may charge at the moment.
var errLater = errors.New("no lock is to be had")

// shop charges each order once.
type shop struct {
	rdb   *redis.Client
	locks *redsync.Redsync
}

func newShop(rdb *redis.Client) *shop {
	return &shop{rdb: rdb, locks: redsync.New(goredis.NewPool(rdb))}
}

func (s *shop) charge(ctx context.Context, order string) error {
	alone := fallback.PrimaryOnly(ctx)
	lock := s.locks.NewMutex("lock:"+order, redsync.WithExpiry(10*time.Second), redsync.WithTries(3))
	if err := lock.LockContext(alone); err != nil {
		// What may wait is noted on whichever server serves.
		return errors.Join(errLater, reason(err), s.rdb.SAdd(ctx, "later", order).Err())
	}
	defer func() {
		if ok, err := lock.UnlockContext(alone); !ok {
			log.Println("the lock of", order, "ends by its expiry:", err)
		}
	}()
	// What the lock protects must not be split between two servers either.
	first, err := s.rdb.HSetNX(alone, "charged", order, time.Now().Unix()).Result()
	if err != nil {
		return errors.Join(errLater, reason(err), s.rdb.SAdd(ctx, "later", order).Err())
	}
	if !first {
		return errors.New("it has been charged")
	}
	return nil // here the money would move
}

// reason is the limit that was met, if that is what it was.
func reason(err error) error {
	if limit, ok := errors.AsType[*fallback.LimitError](err); ok {
		return fmt.Errorf("a limit of %s was reached", limit.Kind)
	}
	return err
}
