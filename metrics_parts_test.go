package fallback_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
)

func metricsOfAQuota(t *testing.T, g *gauges) {
	t.Helper()
	primary, local := fallbacktest.Run(t), redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	p := newProcess(t, primary, local, g.option, unlooked())
	for range 3 {
		p.rdb.Incr(ctx, "n")
	}
	primary.LoseReply("LPUSH", 1)
	p.rdb.LPush(ctx, "list", 1)
	primary.LoseReply("LPUSH", 0)
	p.rdb.Get(ctx, "n")
	g.become(t, map[string]float64{
		"redis.upstash.connect.success": some, "redis.upstash.command.success": 4, "redis.upstash.command.failure": 1,
		"redis.upstash.command.lost": 1, "redis.upstash.command.sent": some, "redis.upstash.rate_limit_exceeded": 0,
		"redis.upstash.circuit_breaker.open": 0, "redis.local.command.success": 0, "redis.fallback.activated": 0,
		"redis.fallback.switched": 0, "redis.fallback.serving": 0, "redis.fallback.journal.entries": 0,
		"redis.fallback.journal.durable": 2, "redis.fallback.processes": 1,
	})

	primary.Exhaust()
	for range 3 {
		if err := p.rdb.LPush(ctx, "list", 1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	p.rdb.Get(ctx, "none")
	p.rdb.Get(fallback.PrimaryOnly(ctx), "none")
	g.become(t, map[string]float64{
		"redis.upstash.command.failure": 2, "redis.upstash.rate_limit_exceeded": 1, "redis.local.connect.success": some,
		"redis.local.command.success": 4, "redis.fallback.activated": 1, "redis.fallback.switched": 1,
		"redis.fallback.restored": 0, "redis.fallback.serving": 1, "redis.fallback.withheld": 1,
		"redis.fallback.journal.written": 3, "redis.fallback.journal.entries": some, "redis.fallback.journal.bytes": some,
		"redis.fallback.journal.oldest_age": some, "redis.fallback.dead_letters": 0, "redis.fallback.mirror.misses": 1,
		"redis.fallback.switch.duration": 1,
	})

	primary.Renew()
	primary.Data().Del("list")
	if err := primary.Data().Set("list", "no list"); err != nil {
		t.Fatal(err)
	}
	primary.RefuseOnly("WATCH", fallbacktest.ReplyRequests)
	probe(t, p, func() bool { return p.h.Status().Journal.FailedReturns > 0 })
	primary.Renew()
	probe(t, p, func() bool { return p.h.Serving() == fallback.Primary })
	g.become(t, map[string]float64{
		"redis.fallback.restore.failure": some, "redis.fallback.restored": 1, "redis.fallback.switched": 2,
		"redis.fallback.serving": 0, "redis.fallback.dead_letters": some, "redis.fallback.journal.delivered": 3,
		"redis.fallback.journal.oldest_age": 0, "redis.fallback.drain.commands": some, "redis.upstash.probes": some,
		"redis.fallback.drain.duration": some, "redis.fallback.switch.duration": 2, "redis.fallback.pinned": 0,
	})
	if err := p.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	g.become(t, map[string]float64{
		"redis.fallback.pinned": 1, "redis.fallback.serving": 1, "redis.fallback.switched": 3, "redis.fallback.activated": 1,
	})
}

// probe looks at the primary until that has brought something about.
func probe(t *testing.T, p *process, done func() bool) {
	t.Helper()
	eventually(t, "what probes bring about", func() bool {
		_ = p.h.Probe(ctx)
		return done()
	})
}

func metricsOfOutages(t *testing.T, g *gauges) {
	t.Helper()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	p := newProcess(t, primary, local, g.option, unlooked())
	p.rdb.Ping(ctx)
	primary.Stop()
	if err := p.rdb.Get(ctx, "k").Err(); err != nil && p.h.Serving() != fallback.Local {
		t.Fatal(err)
	}
	g.become(t, map[string]float64{
		"redis.upstash.connect.failure": some, "redis.upstash.circuit_breaker.open": 1, "redis.fallback.activated": 1,
		"redis.local.circuit_breaker.open": 0, "redis.local.command.failure": 0,
	})
	local.Stop()
	for range 6 {
		p.rdb.Get(ctx, "k")
	}
	g.become(t, map[string]float64{
		"redis.local.connect.failure": some, "redis.local.command.failure": some, "redis.local.circuit_breaker.open": 1,
	})
}

func metricsOfAFullJournal(t *testing.T, g *gauges) {
	t.Helper()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	p := newProcess(t, primary, local, g.option, unlooked(), fallback.WithJournal(fallback.JournalConfig{Entries: 2}))
	primary.Exhaust()
	if err := p.rdb.MSet(ctx, "a", 1, "b", 1).Err(); err != nil {
		t.Fatal(err)
	}
	g.become(t, map[string]float64{"redis.fallback.journal.names_only": 1, "redis.fallback.journal.full": 0})
	for _, err := range []error{p.rdb.MSet(ctx, "c", 1, "d", 1).Err(), p.rdb.Incr(ctx, "e").Err()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	g.become(t, map[string]float64{
		"redis.fallback.journal.names": some, "redis.fallback.journal.full": 1, "redis.fallback.journal.refused": 0,
	})
	p.rdb.Set(ctx, "e", 1, 0)
	g.become(t, map[string]float64{"redis.fallback.journal.refused": 1})
}

func metricsOfAFence(t *testing.T, g *gauges) {
	t.Helper()
	primary, local := fallbacktest.Run(t), fallbacktest.Run(t)
	local.RefuseOnly("SUBSCRIBE", "ERR not here") // so that a change is heard of at the next look
	a, deaf := newProcess(t, primary, local), newProcess(t, primary, local, g.option)
	for g.values(t)["redis.fallback.journal.fenced"] == 0 {
		for _, err := range []error{a.h.Pin(fallback.Local), deaf.h.Pin(fallback.Local), a.h.Pin(fallback.Primary), deaf.rdb.Incr(ctx, "n").Err()} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func metricsOfTheMirror(t *testing.T, g *gauges) {
	t.Helper()
	primary, local := redistest.Start(t), redistest.Start(t)
	if err := primary.Client(t).Set(ctx, "cold", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	p := newProcess(t, primary, local, g.option, fallback.WithMirror(fallback.MirrorConfig{Hydration: 1, Writes: 100}))
	p.rdb.Ping(ctx)
	p.rdb.Set(ctx, "k", 1, 0)
	p.rdb.Eval(ctx, "return redis.call('SET', KEYS[1], 1)", []string{"scripted"})
	eventually(t, "a key that is in use", func() bool {
		p.rdb.Get(ctx, "cold")
		return g.values(t)["redis.fallback.mirror.hydrated"] > 0
	})
	g.become(t, map[string]float64{
		"redis.fallback.mirror.sent": some, "redis.fallback.mirror.unsure": some, "redis.fallback.mirror.dropped": 0,
		"redis.fallback.mirror.complete": 0, "redis.fallback.mirror.stopped": 0,
	})
	if _, err := p.h.Sync(ctx, fallback.SyncOptions{}); err != nil {
		t.Fatal(err)
	}
	g.become(t, map[string]float64{"redis.fallback.mirror.complete": 1})

	control := local.Client(t)
	if err := control.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	p.rdb.Set(ctx, "k", 2, 0)
	g.become(t, map[string]float64{"redis.fallback.mirror.stopped": 1})

	local.Hang()
	defer local.Resume()
	for i := range 300 {
		p.rdb.Set(ctx, fmt.Sprint("k", i), 1, time.Hour)
	}
	g.become(t, map[string]float64{
		"redis.fallback.mirror.queued": some, "redis.fallback.mirror.queued_bytes": some, "redis.fallback.mirror.lag": some,
		"redis.fallback.mirror.dropped": some,
	})
}
