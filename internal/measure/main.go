// Command measure makes the figures of docs/performance.md against real redis-server processes on
// this machine: the client with the hook beside the bare one, in interleaved pairs.
//
//	go run ./internal/measure            all of it, about 6 minutes
//	go run ./internal/measure overhead   healthy path, and while local serves
//	go run ./internal/measure outage     a killed and a hung primary: worst call and errors
//	go run ./internal/measure quota      64 workers through a minute of quota
//	go run ./internal/measure idle       connections that the host closes, over TLS
//	go run ./internal/measure journal    writes while local serves, beside a bare client on local
//	go run ./internal/measure return     the pause at a return, with 4 processes of 64 workers
//	go run ./internal/measure drain      the delivery of a journal beside raw pipelines, and what it costs
//	go run ./internal/measure mirror     what the mirror costs while the primary serves
//	go run ./internal/measure sync       the copy of the primary beside one by hand
//	go run ./internal/measure warm       how much of what is in use local has when the quota ends
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func main() {
	if primary := os.Getenv(envPrimary); primary != "" {
		redis.SetLogger(silent{})
		if err := child(primary, os.Getenv(envLocal)); err != nil {
			fmt.Fprintln(os.Stderr, "measure: a child process:", err)
			os.Exit(1)
		}
		return
	}
	pairs := flag.Int("pairs", 20, "interleaved pairs for each ratio")
	span := flag.Duration("span", time.Second, "time of one half of a pair")
	only := flag.String("row", "", "only rows of overhead and mirror whose name contains this")
	rate := flag.Float64("rate", 0, "calls/s of the rows of mirror; default half of what was the most")
	flag.Parse()
	slog.SetLogLoggerLevel(slog.LevelError)
	redis.SetLogger(silent{})
	parts := []struct {
		name string
		run  func(*bench) error
	}{
		{"overhead", overhead},
		{"outage", outage},
		{"quota", quota},
		{"idle", idle},
		{"drain", drained},
		{"journal", journaled},
		{"return", returned},
		{"mirror", mirrored},
		{"sync", synced},
		{"warm", warm},
	}
	want := flag.Args()
	b := &bench{pairs: *pairs, span: *span, only: *only, rate: *rate}
	fmt.Printf("%s/%s, %d processors, %s, go-redis v%s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), redis.Version())
	for _, p := range parts {
		if len(want) > 0 && !slices.Contains(want, p.name) {
			continue
		}
		fmt.Printf("\n## %s\n\n", p.name)
		if err := p.run(b); err != nil {
			fmt.Fprintf(os.Stderr, "measure: %s: %v\n", p.name, err)
			os.Exit(1)
		}
	}
}

type bench struct {
	pairs int
	span  time.Duration
	only  string
	rate  float64
}

// program is a client with the hook between two real servers, and a bare client beside it.
type program struct {
	primary, local *redistest.Server
	bare, hooked   *redis.Client
	onLocal        *redis.Client
	h              *fallback.Hook
	dirs           []string
}

func start(opts ...fallback.Option) (*program, error) {
	p := &program{}
	for _, s := range []**redistest.Server{&p.primary, &p.local} {
		dir, err := os.MkdirTemp("", "measure")
		if err != nil {
			return nil, err
		}
		p.dirs = append(p.dirs, dir)
		if *s, err = redistest.Launch(dir); err != nil {
			return nil, err
		}
	}
	options := func(s *redistest.Server) *redis.Options { // go-redis' defaults, but for its probing of maintenance
		return s.Options()
	}
	p.bare = redis.NewClient(options(p.primary))
	p.hooked = redis.NewClient(options(p.primary))
	p.onLocal = redis.NewClient(options(p.local))
	p.h = fallback.New(redis.NewClient(options(p.local)), append([]fallback.Option{fallback.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	p.hooked.AddHook(p.h)
	return p, nil
}

func (p *program) stop() {
	_ = p.h.Shutdown(noCtx)
	for _, c := range []*redis.Client{p.bare, p.hooked, p.onLocal} {
		_ = c.Close()
	}
	p.primary.Kill()
	p.local.Kill()
	for _, d := range p.dirs {
		_ = os.RemoveAll(d)
	}
}

// ratios sorts what pairs have given, and returns the median with its 95 % interval, from the order
// statistics: no shape of the distribution is assumed.
func ratios(r []float64) (median, low, high float64) {
	slices.Sort(r)
	n := len(r)
	k := max(int((float64(n)-1.96*math.Sqrt(float64(n)))/2), 0)
	median = r[n/2]
	if n%2 == 0 {
		median = (r[n/2-1] + r[n/2]) / 2
	}
	return median, r[k], r[n-1-k]
}

func row(cells ...any) {
	var b strings.Builder
	b.WriteString("|")
	for _, c := range cells {
		fmt.Fprintf(&b, " %v |", c)
	}
	fmt.Println(b.String())
}

func head(names ...string) {
	fmt.Println("| " + strings.Join(names, " | ") + " |")
	fmt.Println("|" + strings.Repeat("---|", len(names)))
}
