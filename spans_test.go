package fallback_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

const scopeOfOurs = "github.com/redis-fallback/fallback"

// traces is a pair all of whose spans are kept in memory.
type traces struct {
	*pair
	kept     *tracetest.InMemoryExporter
	provider *sdktrace.TracerProvider
}

// newTraces instruments local, and the primary's client before and after the hook, as it is told.
func newTraces(t *testing.T, before, after bool, opts ...fallback.Option) *traces {
	t.Helper()
	x := &traces{kept: tracetest.NewInMemoryExporter()}
	x.provider = sdktrace.NewTracerProvider(sdktrace.WithSyncer(x.kept))
	t.Cleanup(func() { _ = x.provider.Shutdown(context.Background()) })
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	x.pair = &pair{primary: primary, local: local, log: &lines{}, rdb: redis.NewClient(primary.Options())}
	back := redis.NewClient(local.Options())
	instrument := func(rdb *redis.Client) {
		if err := redisotel.InstrumentTracing(rdb, redisotel.WithTracerProvider(x.provider)); err != nil {
			t.Fatal(err)
		}
	}
	if before {
		instrument(x.rdb)
	}
	x.h = fallback.New(back, append([]fallback.Option{
		fallback.WithLogger(x.log.logger()), fallback.WithTracerProvider(x.provider),
	}, opts...)...)
	x.rdb.AddHook(x.h)
	if after {
		instrument(x.rdb)
	}
	instrument(back)
	t.Cleanup(func() { _, _, _ = x.h.Shutdown(ctx), x.rdb.Close(), back.Close() })
	return x
}

// request does something within a span of the program.
func (x *traces) request(name string, do func(context.Context)) {
	ctx, span := x.provider.Tracer("program").Start(context.Background(), name)
	defer span.End()
	do(ctx)
}

// named waits for a span.
func (x *traces) named(t *testing.T, name string) (found tracetest.SpanStub) {
	t.Helper()
	eventually(t, "a span "+name, func() bool {
		for _, s := range x.kept.GetSpans() {
			if s.Name == name {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

func (x *traces) children(of tracetest.SpanStub) (all []string) {
	for _, s := range x.kept.GetSpans() {
		if s.Parent.SpanID() == of.SpanContext.SpanID() {
			all = append(all, s.Name)
		}
	}
	slices.Sort(all)
	return all
}

// attributes writes down all of the attributes of a span.
func attributes(s tracetest.SpanStub) string {
	all := make([]string, 0, len(s.Attributes))
	for _, a := range s.Attributes {
		all = append(all, fmt.Sprintf("%s=%v", a.Key, a.Value.AsInterface()))
	}
	slices.Sort(all)
	return usage.ReplaceAllString(strings.Join(all, " "), "usage=5000nn")
}

var epoch = regexp.MustCompile(`fallback.epoch=\d+ `)

// usage grows with each refusal.
var usage = regexp.MustCompile(`usage=5000\d\d`)

const overQuota = "fallback.backend=local fallback.cause.type=limit_requests fallback.limit.kind=requests" +
	" fallback.limit.usage=5000nn fallback.limit.value=500000 fallback.primary=upstash fallback.reason=quota"

// A replay is a span of its own between that of the caller and that of local's client, wherever else the
// primary's client is instrumented.
func TestAReplayIsASpan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		before, after bool
		ofRequest     []string // all that is directly in the caller's span
	}{
		{"redisotel on local alone", false, false, []string{"fallback.replay"}},
		{"redisotel before the hook", true, false, []string{"incr"}},
		{"redisotel after the hook", false, true, []string{"fallback.replay", "incr"}},
		{"redisotel on both sides", true, true, []string{"incr"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := newTraces(t, c.before, c.after)
			x.rdb.Ping(ctx) // connections have spans as well
			x.h.Pin(fallback.Local)
			x.rdb.Incr(ctx, "n")
			x.h.Pin(fallback.Primary)
			x.h.Unpin()
			x.named(t, "fallback.return")
			x.kept.Reset()

			x.primary.Exhaust()
			x.request("request", func(ctx context.Context) {
				if err := x.rdb.Incr(ctx, "n").Err(); err != nil {
					t.Error(err)
				}
			})
			request, replay := x.named(t, "request"), x.named(t, "fallback.replay")
			if got := x.children(request); !slices.Equal(got, c.ofRequest) {
				t.Errorf("within the caller's span there are %q, want %q", got, c.ofRequest)
			}
			around := request
			if c.before {
				around = x.within(t, "incr", request)
			}
			if replay.Parent.SpanID() != around.SpanContext.SpanID() {
				t.Errorf("the replay is not within %s", around.Name)
			}
			if got := x.children(replay); !slices.Contains(got, "incr") {
				t.Errorf("within the replay there are %q, want local's incr among them", got)
			}
			want := "db.operation.name=incr db.system.name=redis " + overQuota
			if got := attributes(replay); got != want {
				t.Errorf("the replay has\n%s, want\n%s", got, want)
			}
			if replay.Status.Code != codes.Unset || len(replay.Events) > 0 {
				t.Errorf("the replay has status %v and events %v", replay.Status, replay.Events)
			}
			trip := x.named(t, "fallback.trip")
			if got := attributes(trip); epoch.ReplaceAllString(got, "") != overQuota {
				t.Errorf("the trip has %s", got)
			}
			if trip.Parent.IsValid() || len(trip.Links) != 1 || trip.Links[0].SpanContext.SpanID() != around.SpanContext.SpanID() {
				t.Errorf("the trip has parent %v and links %+v, want the one to %s", trip.Parent, trip.Links, around.Name)
			}
			if !trip.StartTime.After(around.StartTime) || trip.EndTime.Before(trip.StartTime) || trip.EndTime.After(around.EndTime) {
				t.Errorf("the trip lasted from %v to %v, within a call from %v to %v", trip.StartTime, trip.EndTime, around.StartTime, around.EndTime)
			}
		})
	}
}

// within returns the span of that name which is directly within another.
func (x *traces) within(t *testing.T, name string, within tracetest.SpanStub) tracetest.SpanStub {
	t.Helper()
	for _, s := range x.kept.GetSpans() {
		if s.Name == name && s.Parent.SpanID() == within.SpanContext.SpanID() {
			return s
		}
	}
	t.Fatalf("no %s within %s", name, within.Name)
	return tracetest.SpanStub{}
}

// While the primary answers, there are the spans of redisotel and no others.
func TestHealthyCallsHaveNoSpanOfOurs(t *testing.T) {
	t.Parallel()
	x := newTraces(t, true, false)
	x.rdb.Ping(ctx)
	x.kept.Reset()
	x.rdb.Set(ctx, "k", 1, 0)
	x.rdb.Get(ctx, "k")
	x.rdb.Get(ctx, "none")
	x.rdb.LPush(ctx, "k", 1) // WRONGTYPE
	_, _ = x.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error { return pipe.Incr(ctx, "n").Err() })
	_ = x.rdb.Watch(ctx, func(tx *redis.Tx) error { return tx.Get(ctx, "k").Err() }, "k")
	n := 0
	for _, s := range x.kept.GetSpans() {
		if n++; s.InstrumentationScope.Name == scopeOfOurs || strings.HasPrefix(s.Name, "fallback.") {
			t.Errorf("a span %s", s.Name)
		}
	}
	if n == 0 {
		t.Error("redisotel has recorded nothing")
	}
}

// The names of what is replayed follow OpenTelemetry's conventions for Redis.
func TestReplaysAreNamed(t *testing.T) {
	t.Parallel()
	x := newTraces(t, false, false)
	if err := x.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	pipe := func(tx bool, names ...string) func() {
		return func() {
			p := x.rdb.Pipeline()
			if tx {
				p = x.rdb.TxPipeline()
			}
			for _, name := range names {
				p.Do(ctx, name, "k1")
			}
			_, _ = p.Exec(ctx)
		}
	}
	for _, c := range []struct {
		want string
		do   func()
	}{
		{"db.operation.name=get", func() { x.rdb.Get(ctx, "k") }},
		{"db.operation.name=GET", func() { x.rdb.Do(ctx, "GET", "k") }},
		{"db.operation.name=_OTHER", func() { x.rdb.Do(ctx, "hunter2", "k") }},
		{"db.operation.name=incr", pipe(false, "incr")},
		{"db.operation.batch.size=3 db.operation.name=PIPELINE incr", pipe(false, "incr", "incr", "incr")},
		{"db.operation.batch.size=2 db.operation.name=PIPELINE", pipe(false, "incr", "get")},
		{"db.operation.name=MULTI incr", pipe(true, "incr")},
		{"db.operation.batch.size=2 db.operation.name=MULTI incr", pipe(true, "incr", "incr")},
		{"db.operation.batch.size=2 db.operation.name=MULTI", pipe(true, "incr", "get")},
		{"db.operation.name=watch", func() { _ = x.rdb.Watch(ctx, func(*redis.Tx) error { return nil }, "k") }},
	} {
		x.kept.Reset()
		c.do()
		replay := x.named(t, "fallback.replay")
		got, _, _ := strings.Cut(attributes(replay), " db.system.name=redis")
		got, _, _ = strings.Cut(got, " db.response.status_code")
		if got != c.want {
			t.Errorf("%s, want %s", attributes(replay), c.want)
		}
		if replay.SpanKind.String() != "internal" {
			t.Errorf("a span of kind %v would be counted as another call of a database", replay.SpanKind)
		}
	}
}

// A replay that fails says so, by one of few words.
func TestReplaysThatFail(t *testing.T) {
	t.Parallel()
	x := newTraces(t, false, false)
	x.h.Pin(fallback.Local)
	last := func(do func()) tracetest.SpanStub {
		x.kept.Reset()
		do()
		return x.named(t, "fallback.replay")
	}
	x.rdb.Set(ctx, "text", "x", 0)
	if s := last(func() { x.rdb.Get(ctx, "none") }); s.Status.Code != codes.Unset {
		t.Errorf("redis.Nil is no error: %+v", s.Status)
	}
	for _, c := range []struct {
		do   func()
		want string
	}{
		{func() { x.rdb.LPush(ctx, "text", 1) }, "db.response.status_code=WRONGTYPE error.type=WRONGTYPE"},
		{func() {
			x.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Get(ctx, "none")
				pipe.LPush(ctx, "text", 1)
				return nil
			})
		}, "db.response.status_code=WRONGTYPE error.type=WRONGTYPE"},
		{func() {
			spent, cancel := context.WithCancel(ctx)
			cancel()
			x.rdb.Get(spent, "text")
		}, "error.type=canceled"},
		{func() { x.local.Exhaust(); x.rdb.Get(ctx, "text"); x.local.Renew() }, "db.response.status_code=ERR error.type=limit_requests"},
		{func() { x.local.Stop(); x.rdb.Get(ctx, "text") }, "error.type=dial"},
		{func() {
			for range 20 {
				x.rdb.Get(ctx, "text")
			}
			x.kept.Reset()
			x.rdb.Get(ctx, "text")
		}, "error.type=local_down"},
	} {
		s := last(c.do)
		var got []string
		for part := range strings.SplitSeq(attributes(s), " ") {
			if strings.HasPrefix(part, "error.") || strings.HasPrefix(part, "db.response.") {
				got = append(got, part)
			}
		}
		if strings.Join(got, " ") != c.want || s.Status.Code != codes.Error || s.Status.Description != "" || len(s.Events) > 0 {
			t.Errorf("%q, status %+v, %d events; want %q", got, s.Status, len(s.Events), c.want)
		}
	}
}
