package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/console"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis/go-redis/v9"
)

// testing.T in the examples is whatever a test has.
func servers() (hosted, second *fallbacktest.Server, stop func()) {
	hosted, err := fallbacktest.Start()
	if err != nil {
		log.Fatal(err)
	}
	second, err = fallbacktest.Start()
	if err != nil {
		log.Fatal(err)
	}
	return hosted, second, func() {
		hosted.Close()
		second.Close()
	}
}

func quiet() fallback.Option { return fallback.WithLogger((&lines{}).logger()) }

func Example() {
	hosted, second, stop := servers()
	defer stop()
	ctx := context.Background()
	rdb := redis.NewClient(hosted.Options())
	defer rdb.Close()

	local := redis.NewClient(second.Options())
	defer local.Close()
	h := fallback.New(local, quiet())
	rdb.AddHook(h)
	defer h.Shutdown(ctx)

	fmt.Println(rdb.Incr(ctx, "visits").Result())
	hosted.Exhaust() // ERR max requests limit exceeded. Limit: 500000, Usage: 500006. …
	fmt.Println(rdb.Incr(ctx, "visits").Result())
	fmt.Println(h.Serving(), h.Status().Reason)
	// Output:
	// 1 <nil>
	// 1 <nil>
	// local quota
}

// The page of a hook, beside the application's own.
func Example_console() {
	local := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer local.Close()
	h := fallback.New(local, quiet())
	defer h.Shutdown(context.Background())

	http.Handle("/debug/redis-fallback/", console.Handler(h))
}

// The first lines of the README.
func Example_readme() {
	rdb := redis.NewClient(&redis.Options{Addr: "hosted.example:6379"})
	defer rdb.Close()

	local := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	h := fallback.New(local)
	rdb.AddHook(h)
	defer h.Shutdown(context.Background())

	fmt.Println(h.Serving()) // and no server was asked for anything
	// Output:
	// primary
}

func ExampleFromEnv() {
	rdb, h, err := fallback.FromEnv()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rdb.Close()
	defer h.Shutdown(context.Background())
	// Output:
	// redis fallback: REDIS_URL: not set; it is the URL of the primary, as in rediss://default:password@host:6379
}

func ExampleLimitError() {
	hosted, second, stop := servers()
	defer stop()
	ctx := context.Background()
	rdb := redis.NewClient(hosted.Options())
	defer rdb.Close()
	local := redis.NewClient(second.Options())
	defer local.Close()
	rdb.AddHook(fallback.New(local, quiet()))

	hosted.Fill()
	err := rdb.Set(ctx, "k", "v", 0).Err()
	var limit *fallback.LimitError
	if errors.As(err, &limit) {
		fmt.Println(limit.Kind, limit.Limit, limit.Usage)
	}
	// Output:
	// storage 268435456 268447091
}

func ExamplePrimaryOnly() {
	hosted, second, stop := servers()
	defer stop()
	ctx := context.Background()
	rdb := redis.NewClient(hosted.Options())
	defer rdb.Close()
	local := redis.NewClient(second.Options())
	defer local.Close()
	rdb.AddHook(fallback.New(local, quiet()))

	hosted.Suspend()
	err := rdb.SetNX(fallback.PrimaryOnly(ctx), "lock:payment", "me", time.Minute).Err()
	var limit *fallback.LimitError
	fmt.Println(errors.As(err, &limit), limit.Kind)
	fmt.Println(rdb.Set(ctx, "page", "cached", time.Minute).Err())
	// Output:
	// true budget
	// <nil>
}

func ExampleNew_options() {
	_, second, stop := servers()
	defer stop()
	local := redis.NewClient(second.Options())
	defer local.Close()
	h := fallback.New(
		local,
		fallback.WithName("upstash-eu"),
		fallback.WithBreaker(breaker.Config{Failures: 5, Cooldown: time.Minute}),
		fallback.WithHealth(health.Config{Hold: 5 * time.Minute, MaxHold: time.Hour}),
		fallback.WithHang(300*time.Millisecond, 150*time.Millisecond), // a hung server costs a call 0.5 s at most
		fallback.WithOnSwitch(func(e fallback.Event) { fmt.Println(e.From, "→", e.To, e.Reason) }),
		quiet(),
	)
	err := h.Pin(fallback.Local) // an operator's word, for all processes that share local
	_ = h.Shutdown(context.Background())
	fmt.Println(err)
	// Output:
	// primary → local pinned
	// <nil>
}

func ExampleWithDetector() {
	detector := func(_ redis.Cmder, err error) fallback.Verdict {
		if redis.HasErrorPrefix(err, "plan expired") {
			return fallback.Limit
		}
		return fallback.Unknown
	}
	hosted, second, stop := servers()
	defer stop()
	ctx := context.Background()
	rdb := redis.NewClient(hosted.Options())
	defer rdb.Close()
	local := redis.NewClient(second.Options())
	defer local.Close()
	h := fallback.New(local, fallback.WithDetector(detector), quiet())
	rdb.AddHook(h)

	hosted.Refuse("ERR plan expired")
	fmt.Println(rdb.Set(ctx, "k", "v", 0).Err(), h.Serving())
	// Output:
	// <nil> local
}

func ExampleWithRepeatable() {
	local := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer local.Close()
	// Nobody looks at what SADD and DEL return here: they may be sent again when a reply was lost.
	h := fallback.New(local, fallback.WithRepeatable(func(cmd redis.Cmder) bool {
		return cmd.Name() == "sadd" || cmd.Name() == "del"
	}))
	fmt.Println(h.Serving())
	// Output:
	// primary
}

// The loop of a compare-and-set, as it always was: a switch in the middle is one more reason to begin
// again.
func Example_watch() {
	hosted, second, stop := servers()
	defer stop()
	ctx := context.Background()
	rdb := redis.NewClient(hosted.Options())
	defer rdb.Close()
	local := redis.NewClient(second.Options())
	defer local.Close()
	h := fallback.New(local, quiet())
	rdb.AddHook(h)
	defer h.Shutdown(ctx)

	tries := 0
	increment := func(tx *redis.Tx) error {
		tries++
		n, err := tx.Get(ctx, "n").Int()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if tries == 1 {
			hosted.Exhaust() // just now
		}
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, "n", n+1, 0)
			return nil
		})
		return err
	}
	err := rdb.Watch(ctx, increment, "n")
	for errors.Is(err, redis.TxFailedErr) {
		err = rdb.Watch(ctx, increment, "n")
	}
	fmt.Println(err, "after", tries, "tries;", local.Get(ctx, "n").Val(), "on local")
	// Output:
	// <nil> after 2 tries; 1 on local
}

// A journal that costs more than a return may spend is delivered by hand.
func ExampleHook_Drain() {
	hosted, second, stop := servers()
	defer stop()
	ctx := context.Background()
	rdb := redis.NewClient(hosted.Options())
	defer rdb.Close()
	local := redis.NewClient(second.Options())
	defer local.Close()
	h := fallback.New(local, quiet(), fallback.WithJournal(fallback.JournalConfig{Budget: 1}))
	rdb.AddHook(h)
	defer h.Shutdown(ctx)

	hosted.Exhaust()
	for range 3 {
		rdb.Incr(ctx, "visits")
	}
	hosted.Renew()
	estimate, err := h.Estimate(ctx)
	if err != nil {
		panic(err)
	}
	delivered, err := h.Drain(ctx, 2*estimate.Commands)
	if err != nil {
		panic(err)
	}
	letters, err := h.DeadLetters(ctx)
	if err != nil {
		panic(err)
	}
	visits, _ := hosted.Data().Get("visits")
	fmt.Println(estimate.Writes, delivered, len(letters), visits, h.Serving())
	// Output:
	// 3 3 0 3 local
}
