package fallback_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// A handler says in a header who has answered its commands.
func ExampleWithServedBy() {
	primary, _ := fallbacktest.Start()
	local, _ := fallbacktest.Start()
	defer primary.Close()
	defer local.Close()
	rdb, back := redis.NewClient(primary.Options()), redis.NewClient(local.Options())
	h := fallback.New(back, fallback.WithLogger(slog.New(slog.DiscardHandler)))
	rdb.AddHook(h)
	defer func() { _, _, _ = h.Shutdown(ctx), rdb.Close(), back.Close() }()

	handler := func(w http.ResponseWriter, r *http.Request) {
		ctx, served := fallback.WithServedBy(r.Context())
		n, err := rdb.Incr(ctx, "visits").Result()
		w.Header().Set("X-Served-By", served.By().String())
		if err != nil {
			http.Error(w, "unavailable", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, n)
	}
	visit := func() {
		w := httptest.NewRecorder()
		handler(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		fmt.Println(w.Code, w.Header().Get("X-Served-By"))
	}
	visit()
	primary.Exhaust()
	visit()
	// Output:
	// 200 primary
	// 200 local
}
