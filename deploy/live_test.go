package deploy_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// TestAlertsOfARealRun drives a service through all that there is an alert for, while a real Prometheus
// scrapes it: each alert fires and clears, each metric is not 0 when it should not be, and each expression
// of the dashboard shows it.
func TestAlertsOfARealRun(t *testing.T) {
	t.Parallel()
	program(t, "prometheus")
	s := startService(t)
	start := time.Now()
	p := startPrometheus(t, strings.TrimPrefix(s.page.URL, "http://"))
	s.visit(t)

	localsSettings(t, s, p)
	aLocalThatHangs(t, s, p)
	theMirror(t, s)
	aWarmLocal(t, s)
	aQuota(t, s, p)
	outages(t, s, p)
	s.away.Store(true)
	p.fires("RedisFallbackNotSeen")
	s.away.Store(false)
	p.clears("RedisFallbackNotSeen")

	for _, a := range readAlerts(t) {
		if !p.fired[a.Alert] || !p.cleared[a.Alert] {
			t.Errorf("%s: seen to fire: %v, to clear: %v", a.Alert, p.fired[a.Alert], p.cleared[a.Alert])
		}
	}
	everyMetric(t, p, start)
	for _, expr := range readDashboard(t).expressions() {
		shows(t, p, start, expr)
	}
}

// localsSettings: local begins without a log, as redis-server does by default, and is then made durable.
func localsSettings(t *testing.T, s *service, p *prometheus) {
	t.Helper()
	p.fires("RedisFallbackJournalNotDurable")
	s.set(t, "appendonly", "yes")
	p.clears("RedisFallbackJournalNotDurable")
}

func aLocalThatHangs(t *testing.T, s *service, p *prometheus) {
	t.Helper()
	s.local.Hang()
	p.fires("RedisFallbackMirrorDropping")
	p.fires("RedisFallbackLocalDown")
	if p.isFiring("RedisFallbackBothDown") {
		t.Error("RedisFallbackBothDown fires while the primary is well")
	}
	s.local.Resume()
	p.clears("RedisFallbackMirrorDropping")
	p.clears("RedisFallbackLocalDown")
}

// theMirror meets what it counts, and has no alert for.
func theMirror(t *testing.T, s *service) {
	t.Helper()
	ctx := t.Context()
	seen := func(what string, ok func(fallback.Status) bool) {
		t.Helper()
		eventually(t, what, func() bool { return ok(s.h.Status()) })
	}
	s.rdb.Eval(ctx, "return redis.call('SET', KEYS[1], 'x')", []string{"scripted"})
	seen("a script leaves nothing sure", func(s fallback.Status) bool { return s.Mirror.Unsure > 0 })
	s.set(t, "maxmemory", "1mb")
	seen("the mirror stops for want of memory", func(s fallback.Status) bool { return s.Mirror.Stopped })
	s.scraped(t)
	s.set(t, "maxmemory", "0")
	seen("the mirror goes on", func(s fallback.Status) bool { return !s.Mirror.Stopped })
	s.primary.LoseReply("INCR", 1)
	seen("a reply is lost", func(s fallback.Status) bool { return s.Lost > 0 })
}

// aWarmLocal is another service of the application, whose servers are both real: only they DUMP what the
// other can RESTORE.
func aWarmLocal(t *testing.T, s *service) {
	t.Helper()
	ctx := t.Context()
	primary, local := redistest.Start(t), redistest.Start(t, "--appendonly", "yes")
	direct, rdb := redis.NewClient(primary.Options()), redis.NewClient(primary.Options())
	h := s.hook(t, rdb, redis.NewClient(local.Options()), fallback.WithName("sessions"))
	t.Cleanup(func() { direct.Close() })
	s.scraped(t) // or Prometheus does not see the counters grow
	for i := range 50 {
		key := fmt.Sprintf("article:%d", i)
		if err := direct.Set(ctx, key, "text", 0).Err(); err != nil {
			t.Fatal(err)
		}
		rdb.Get(ctx, key)
	}
	eventually(t, "keys are read from the primary", func() bool {
		rdb.Get(ctx, "article:0")
		return h.Status().Mirror.Hydrated > 0
	})
	eventually(t, "a sync is complete", func() bool {
		_, err := h.Sync(ctx, fallback.SyncOptions{})
		return err == nil && h.Status().Mirror.Complete
	})
	s.scraped(t)
}

func aQuota(t *testing.T, s *service, p *prometheus) {
	t.Helper()
	ctx := t.Context()
	for i := range 3 { // local does not know them, and takes what the primary will reject
		s.direct.Set(ctx, fmt.Sprintf("text:%d", i), "text", 0)
	}
	s.primary.Exhaust()
	s.serves(t, fallback.Local)
	for i := range 3 {
		if err := s.rdb.LPush(ctx, fmt.Sprintf("text:%d", i), "x").Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.rdb.Get(ctx, "nowhere")
	s.rdb.Get(fallback.PrimaryOnly(ctx), "lock")
	p.fires("RedisFallbackActive")
	meetTheFence(t, s)
	p.fires("RedisFallbackJournalGrowing")

	fill := func(until func(fallback.JournalStatus) bool) {
		for !until(s.h.Status().Journal) {
			s.rdb.Set(ctx, fmt.Sprintf("filler:%d", time.Now().UnixNano()), "x", 0)
		}
	}
	fill(func(j fallback.JournalStatus) bool { return j.NamesOnly })
	p.fires("RedisFallbackJournalNamesOnly")
	fill(func(j fallback.JournalStatus) bool { return j.Full })
	p.fires("RedisFallbackJournalFull")

	s.local.Kill()
	p.fires("RedisFallbackBothDown")
	eventually(t, "a command fails on local", func() bool { return s.h.Status().Local.FailedCommands > 0 })
	if err := s.local.Again(); err != nil {
		t.Fatal(err)
	}
	p.clears("RedisFallbackBothDown")

	if err := s.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	p.fires("RedisFallbackPinned")
	if err := s.h.Unpin(); err != nil {
		t.Fatal(err)
	}
	p.clears("RedisFallbackPinned")

	s.primary.Renew()
	s.primary.RefuseOnly("MULTI", fallbacktest.ReplyRequests)
	p.fires("RedisFallbackReturnFailing")
	s.primary.Renew()
	s.serves(t, fallback.Primary)
	p.fires("RedisFallbackDeadLetters")
	for _, alert := range []string{"Active", "JournalGrowing", "JournalNamesOnly", "JournalFull", "ReturnFailing"} {
		p.clears("RedisFallback" + alert)
	}
	letters, err := s.h.DeadLetters(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters {
		if err := s.h.DropDeadLetter(ctx, l.ID); err != nil {
			t.Fatal(err)
		}
	}
	p.clears("RedisFallbackDeadLetters")
}

// meetTheFence writes while the record changes, until a write has met a change that it had not heard of.
func meetTheFence(t *testing.T, s *service) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				s.rdb.Incr(ctx, fmt.Sprintf("fenced:%d", i))
			}
		})
	}
	eventually(t, "a write is fenced", func() bool {
		return s.h.Pin(fallback.Local) == nil && s.h.Unpin() == nil && s.h.Status().Journal.Fenced > 0
	})
	stop()
	all.Wait()
	s.scraped(t)
}

// outages come one after the other until the service is said to flap.
func outages(t *testing.T, s *service, p *prometheus) {
	t.Helper()
	for n := 0; !p.isFiring("RedisFallbackFlapping"); n++ {
		if n == 10 {
			t.Fatal("RedisFallbackFlapping does not fire after 10 outages in a row")
		}
		s.primary.Stop()
		s.serves(t, fallback.Local)
		if err := s.primary.Restart(); err != nil {
			t.Fatal(err)
		}
		s.serves(t, fallback.Primary)
	}
	p.fires("RedisFallbackFlapping")
	p.clears("RedisFallbackFlapping")
}

// everyMetric finds those that were 0 all the time.
func everyMetric(t *testing.T, p *prometheus, start time.Time) {
	t.Helper()
	top := map[string]float64{}
	all, err := p.since(start, `{__name__=~"redis_.+"}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		v, _ := s.top()
		top[s.Metric["__name__"]] = max(top[s.Metric["__name__"]], v)
	}
	for name, v := range top {
		if v == 0 && !strings.HasPrefix(name, "redis_sessions_") { // which meets no trouble
			t.Errorf("%s was 0 all the time", name)
		}
	}
	for _, re := range documented(t) {
		found := false
		for name := range top {
			found = found || re.MatchString(name)
		}
		if !found {
			t.Errorf("no metric %s was scraped", re)
		}
	}
	t.Logf("%d metrics, each not 0 at some time", len(top))
}

// shows runs an expression of the dashboard over the whole run.
func shows(t *testing.T, p *prometheus, start time.Time, expr string) {
	t.Helper()
	all, err := p.since(start, expr)
	if err != nil {
		t.Errorf("%s: %v", expr, err)
		return
	}
	for _, s := range all {
		if v, ok := s.top(); ok && v != 0 {
			return
		}
	}
	t.Errorf("in %d series there is nothing but 0: %s", len(all), expr)
}
