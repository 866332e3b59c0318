// A rate limiter in front of an HTTP handler, on redis_rate: ten requests a minute for each client. Try it with
//
//	curl -i localhost:8080
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"

	"github.com/go-redis/redis_rate/v10"
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

	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	return embedded.Serve(ctx, out, limited(rdb, redis_rate.PerMinute(10), hello))
}

// limited lets each client have so many requests. The limiter is one script: it runs on the server that serves,
// and begins anew on local at a switch, as the mirror does not know what a script did.
func limited(rdb *redis.Client, limit redis_rate.Limit, next http.Handler) http.Handler {
	limiter := redis_rate.NewLimiter(rdb)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			client = r.RemoteAddr
		}
		ctx, served := fallback.WithServedBy(r.Context())
		result, err := limiter.Allow(ctx, client, limit)
		w.Header().Set("X-Served-By", served.By().String())
		if err != nil { // neither server answers: better no limit than no service
			log.Println("not counted:", err)
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(result.Remaining))
		if result.Allowed == 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(result.RetryAfter.Seconds()))))
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}
