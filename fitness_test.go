package fallback_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// onReal returns a hook between an embedded primary and a real local of these settings.
func onReal(t *testing.T, opts []fallback.Option, args ...string) (*pair, *redistest.Server) {
	t.Helper()
	server := redistest.Start(t, args...)
	return onLocal(t, server.Options(), opts...), server
}

// onLocal returns a hook between an embedded primary and a local.
func onLocal(t *testing.T, o *redis.Options, opts ...fallback.Option) *pair {
	t.Helper()
	p := &pair{primary: fallbacktest.Run(t), log: &lines{}}
	p.rdb = redis.NewClient(p.primary.Options())
	back := redis.NewClient(o)
	p.h = fallback.New(back, append([]fallback.Option{
		fallback.WithLogger(p.log.logger()), fallback.WithLocalCheck(20 * time.Millisecond), quick(),
	}, opts...)...)
	p.rdb.AddHook(p.h)
	t.Cleanup(func() {
		_ = p.h.Shutdown(ctx)
		_ = p.rdb.Close()
		_ = back.Close()
	})
	return p
}

func warned(s fallback.Status) []string {
	all := []string{}
	for _, w := range s.Journal.Warnings {
		all = append(all, w.Code)
	}
	return all
}

func TestStatusSaysHowDurableLocalIs(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"always": {"--appendonly", "yes", "--appendfsync", "always"},
		"second": {"--appendonly", "yes", "--appendfsync", "everysec"},
		"none":   nil,
	} {
		p, _ := onReal(t, nil, args...)
		p.rdb.Ping(ctx)
		eventually(t, "local is examined", func() bool { return p.h.Status().Journal.Durability != "" })
		s := p.h.Status()
		if s.Journal.Durability != want || !s.Journal.On || s.Journal.Off != "" {
			t.Errorf("%v: %+v, want %q", args, s.Journal, want)
		}
		if got := slices.Equal(warned(s), []string{"persistence"}); got != (want == "none") {
			t.Errorf("%v: warnings %v", args, warned(s))
		}
	}
}

// A warning is one line, and another one when it has come back.
func TestEachWarningIsToldOnce(t *testing.T) {
	t.Parallel()
	p, server := onReal(t, nil, "--appendonly", "yes", "--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru")
	admin := server.Client(t)
	p.rdb.Ping(ctx)
	told := func() int { return strings.Count(p.log.String(), "code=eviction") }
	eventually(t, "the warning", func() bool { return told() == 1 })
	policy := func(policy string, want []string) {
		t.Helper()
		if err := admin.ConfigSet(ctx, "maxmemory-policy", policy).Err(); err != nil {
			t.Fatal(err)
		}
		eventually(t, policy, func() bool { return slices.Equal(warned(p.h.Status()), want) })
	}
	policy("noeviction", []string{})
	if told() != 1 {
		t.Errorf("%d lines of one warning:\n%s", told(), p.log)
	}
	policy("allkeys-lru", []string{"eviction"})
	eventually(t, "the warning again", func() bool { return told() == 2 })
	if text := p.log.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "set maxmemory-policy to noeviction") {
		t.Errorf("the line does not say what to do:\n%s", text)
	}
}

// What makes a journal impossible turns it off with a reason, and it comes on again.
func TestAReplicaHoldsNoJournalUntilItIsAMaster(t *testing.T) {
	t.Parallel()
	p, server := onReal(t, nil, "--appendonly", "yes", "--replicaof", "127.0.0.1 1")
	p.rdb.Ping(ctx)
	eventually(t, "the journal is off", func() bool { return strings.Contains(p.h.Status().Journal.Off, "read-only replica") })
	if s := p.h.Status().Journal; s.On || !strings.Contains(p.log.String(), "read-only replica") {
		t.Errorf("%+v\n%s", s, p.log)
	}
	if err := server.Client(t).ReplicaOf(ctx, "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the journal is on again", func() bool { return p.h.Status().Journal.On })
	p.primary.Exhaust()
	if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
		t.Fatal(err)
	}
	if s := p.h.Status().Journal; s.Written != 1 || s.State != "local" {
		t.Errorf("after a trip: %+v", s)
	}
}

// A local that has become fit is found to be so before a trip, not a local check later: else that trip
// would be one without a journal.
func TestATripLooksAgainWhetherThereCanBeAJournal(t *testing.T) {
	t.Parallel()
	p, server := onReal(t, []fallback.Option{fallback.WithLocalCheck(time.Hour)}, "--appendonly", "yes", "--replicaof", "127.0.0.1 1")
	p.rdb.Ping(ctx)
	eventually(t, "the journal is off", func() bool { return !p.h.Status().Journal.On })
	if err := server.Client(t).ReplicaOf(ctx, "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	p.primary.Exhaust()
	if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
		t.Fatal(err)
	}
	if s := p.h.Status().Journal; !s.On || s.Written != 1 {
		t.Errorf("%+v", s)
	}
}

// A local that becomes fit while it serves alone is written down from then on, and delivered.
func TestAJournalBeginsWhileLocalServes(t *testing.T) {
	t.Parallel()
	p, server := onReal(t, nil, "--appendonly", "yes")
	admin := server.Client(t)
	forbid := func(rule string) {
		t.Helper()
		if err := admin.Do(ctx, "acl", "setuser", "default", rule).Err(); err != nil {
			t.Fatal(err)
		}
	}
	forbid("-@scripting")
	p.rdb.Ping(ctx)
	eventually(t, "the journal is off", func() bool { return strings.Contains(p.h.Status().Journal.Off, "NOPERM") })
	p.primary.Exhaust()
	if err := p.rdb.Set(ctx, "without", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	p.serves(t, fallback.Local)
	forbid("+@scripting")
	eventually(t, "the journal is on", func() bool { return p.h.Status().Journal.On })
	p.serves(t, fallback.Local)
	if err := p.rdb.Set(ctx, "with", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	p.primary.Renew()
	eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
	if with, without := get(t, p.primary, "with"), get(t, p.primary, "without"); with != "1" || without != "" {
		t.Errorf("on the primary: with a journal %q, without %q", with, without)
	}
	if s := p.h.Status(); s.Trips != 1 || s.Returns != 1 {
		t.Errorf("%d trips, %d returns", s.Trips, s.Returns)
	}
}

// What local lacks is said in words, and found before anything has to switch.
func TestWhatLocalLacksIsSaid(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"local has no database 15":   {"--databases", "4"},
		"local is in cluster mode":   {"--cluster-enabled", "yes"},
		"does not know a command":    {"--rename-command", "EVALSHA", ""},
		"local's user may not do":    nil,
		"something else has written": nil,
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			p, server := onReal(t, nil, args...)
			admin := server.Client(t)
			var err error
			switch {
			case strings.Contains(want, "user"):
				err = admin.Do(ctx, "acl", "setuser", "default", "-evalsha").Err()
			case strings.Contains(want, "written"):
				_, err = admin.Pipelined(ctx, func(pipe redis.Pipeliner) error {
					pipe.Do(ctx, "select", 15)
					pipe.Set(ctx, "fallback:upstash:state", 1, 0)
					return nil
				})
			}
			if err != nil {
				t.Fatal(err)
			}
			p.rdb.Ping(ctx)
			eventually(t, "it is said", func() bool { return strings.Contains(p.h.Status().Journal.Off, want) })
			if !strings.Contains(p.log.String(), want) {
				t.Errorf("the log does not say it:\n%s", p.log)
			}
		})
	}
}

func TestWhatHoldsNoJournalSaysSo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		local func(*testing.T, *fallbacktest.Server) redis.UniversalClient
		opts  []fallback.Option
		want  string
	}{
		"a Ring": {func(t *testing.T, s *fallbacktest.Server) redis.UniversalClient {
			t.Helper()
			return newRing(t, s)
		}, nil, "local is a ClusterClient or a Ring"},
		"switched off": {nil, []fallback.Option{fallback.WithJournal(fallback.JournalConfig{Database: -1})}, "switched off"},
		"the database of the application": {func(t *testing.T, s *fallbacktest.Server) redis.UniversalClient {
			t.Helper()
			return bareClient(t, s, func(o *redis.Options) { o.DB = 3 })
		}, []fallback.Option{fallback.WithJournal(fallback.JournalConfig{Database: 3})}, "local's own database is number 3 as well"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
			var back redis.UniversalClient = bareClient(t, local, nil)
			if c.local != nil {
				back = c.local(t, local)
			}
			log := &lines{}
			h := fallback.New(back, append(c.opts, quick(), cold(), fallback.WithLogger(log.logger()))...)
			rdb := bareClient(t, primary, nil)
			rdb.AddHook(h)
			defer h.Shutdown(ctx)
			primary.Exhaust()
			if err := rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
				t.Fatal(err)
			}
			if s := h.Status(); s.Serving != fallback.Local || s.Journal.On || !strings.Contains(s.Journal.Off, c.want) {
				t.Errorf("%v serves; %+v", s.Serving, s.Journal)
			}
			primary.Renew()
			eventually(t, "the return", func() bool { return h.Serving() == fallback.Primary })
			if n := strings.Count(log.String(), "no journal"); n != 1 {
				t.Errorf("%d lines say that there is no journal:\n%s", n, log)
			}
			if _, err := h.Drain(ctx, 0); err != fallback.ErrNoJournal { //nolint:errorlint // as it is documented
				t.Errorf("Drain: %v", err)
			}
		})
	}
}
