// An HTTP service that keeps its sessions in Redis, and says of each answer which server it came from. Try it with
//
//	curl -i -c jar -d user=ada localhost:8080/login
//	curl -i -b jar localhost:8080
//
// With OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 its traces go to Jaeger, under the X-Trace-Id of the answer.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/examples/internal/embedded"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"
)

const lifetime = 30 * time.Minute // of a session that nobody uses

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
	c, err := open(ctx, os.Getenv("REDIS_URL"), os.Getenv("REDIS_FALLBACK_URL"), nil, servers.Options()...)
	if err != nil {
		return err
	}
	defer c.close()
	return embedded.Serve(ctx, out, newHandler(c))
}

// newHandler serves sessions. Each request is a span, and what Redis is asked for lies within.
func newHandler(c *clients) http.Handler {
	s := sessions{c.rdb}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", page(s.login))
	mux.HandleFunc("GET /{$}", page(s.home))
	return otelhttp.NewHandler(mux, "request", otelhttp.WithTracerProvider(c.traces))
}

// page answers with a text. Whoever reads the answer is told which server it came from.
func page(text func(http.ResponseWriter, *http.Request) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, served := fallback.WithServedBy(r.Context())
		body, err := text(w, r.WithContext(ctx))
		w.Header().Set("X-Served-By", served.By().String())
		w.Header().Set("X-Trace-Id", trace.SpanContextFromContext(ctx).TraceID().String())
		switch {
		case errors.Is(err, redis.Nil), errors.Is(err, http.ErrNoCookie):
			http.Error(w, "log in first", http.StatusUnauthorized)
		case err != nil:
			log.Println(err)
			http.Error(w, "come back later", http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, body)
		}
	}
}

type sessions struct{ rdb *redis.Client }

type session struct {
	User   string
	Visits int
}

func (s sessions) login(w http.ResponseWriter, r *http.Request) (string, error) {
	id := rand.Text()
	http.SetCookie(w, &http.Cookie{Name: "session", Value: id, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return "welcome", s.keep(r, id, session{User: r.PostFormValue("user")})
}

func (s sessions) home(_ http.ResponseWriter, r *http.Request) (string, error) {
	cookie, err := r.Cookie("session")
	if err != nil {
		return "", err
	}
	text, err := s.rdb.Get(r.Context(), "session:"+cookie.Value).Bytes()
	if err != nil {
		return "", err
	}
	var now session
	if err := json.Unmarshal(text, &now); err != nil {
		return "", err
	}
	now.Visits++
	return fmt.Sprintf("%s, this is visit %d", now.User, now.Visits), s.keep(r, cookie.Value, now)
}

// keep writes a session as a whole, so that the second Redis has it whatever it knew before.
func (s sessions) keep(r *http.Request, id string, now session) error {
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return s.rdb.Set(r.Context(), "session:"+id, text, lifetime).Err()
}
