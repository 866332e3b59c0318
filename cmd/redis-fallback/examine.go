package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/diagnosis"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

// keptFor is how long a key of the doctor stays.
const keptFor = 10 * time.Second

// asPrimary looks at what a primary must do: take probes, take the journal, and be read for the mirror.
func (p *patient) asPrimary(ctx context.Context, name string, f *journal.Fleet, app *redis.Options) {
	if p.server["role"] == "slave" {
		p.error("role", "it is a read-only replica: no write and no probe succeeds", "put the master's address into "+p.variable)
	}
	if p.server["cluster_enabled"] == "1" {
		p.warn("role", "it is in cluster mode, which a client made of "+p.variable+" does not speak, and which has no journal",
			"use a ClusterClient and h.AddToCluster, or a server that is not in cluster mode")
	}
	if policy := p.policy(); p.memoryMax() > 0 && strings.HasPrefix(policy, "allkeys-") {
		p.warn("eviction", "when it is full it drops any key ("+policy+"): the journal's position as well, and what was on its way then becomes dead letters",
			"give it room, or a policy that leaves keys without an expiry alone (volatile-lru, noeviction)")
	} else {
		p.ok("eviction", "leaves the journal's position alone (%s)", orUnknown(policy))
	}
	if limit := time.Duration(p.number("timeout")) * time.Second; limit > 0 && (app.ConnMaxIdleTime <= 0 || app.ConnMaxIdleTime >= limit) {
		p.warn("idle time", fmt.Sprintf("it closes idle connections after %s, and the client keeps them %s", limit, untilWhen(app.ConnMaxIdleTime)),
			fmt.Sprintf("set conn_max_idle_time in the URL to less than %s", limit))
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if p.probed(ctx) && p.journaled(ctx, name, f) {
		p.readable(ctx, name)
	}
}

// probed writes what a probe writes.
func (p *patient) probed(ctx context.Context) bool {
	if err := p.rdb.Set(ctx, "fallback:probe", time.Now().Unix(), time.Minute).Err(); err != nil {
		p.refusal("probe", err)
		return false
	}
	p.ok("probe", "its user may write fallback:probe")
	return true
}

func doctorKey(name string) string { return "fallback:" + name + ":doctor" }

// journaled has one transaction run as the delivery of the journal is one, on a key of its own.
func (p *patient) journaled(ctx context.Context, name string, f *journal.Fleet) bool {
	store := journal.New(p.rdb, name, 0) // for the names of its keys alone
	id := "doctor"
	if f != nil {
		id = f.Record.ID
	}
	conn := p.rdb.Conn() // WATCH must not stay on a connection of the pool
	defer conn.Close()
	position, finger := store.PositionKey(id), store.FingerprintKey()
	watch := conn.Do(ctx, "watch", position, finger)
	seen := conn.MGet(ctx, position, finger)
	if err := firstError(watch, seen); err != nil {
		p.refusal("journal", err)
		return false
	}
	multi := conn.Do(ctx, "multi")
	if err := firstError(multi); err != nil {
		p.refusal("journal", err)
		return false
	}
	set := conn.Do(ctx, "set", doctorKey(name), "1", "px", keptFor.Milliseconds()) // its answer is that it waits
	exec := conn.Do(ctx, "exec")
	if err := firstError(set, exec); err != nil {
		p.refusal("journal", err)
		return false
	}
	p.ok("journal", "its user may deliver one: WATCH, MULTI, SET and EXEC on fallback:%s:*", name)
	if f == nil || f.Record.Primary == "" {
		return true
	}
	switch there := seen.Val()[1]; there {
	case f.Record.Primary:
		p.ok("identity", "it is the primary that local's journal is for")
	case nil:
		p.warn("identity", "local's journal has been delivered before, and nothing here tells of it: has it been emptied, or is it another server?",
			"if it is to be that one from now on: redis-fallback drain --adopt")
	default:
		p.error("identity", "it is not the primary that local's journal is for: nothing will be delivered to it",
			"is "+p.variable+" right? If it is to be that one from now on: redis-fallback drain --adopt")
	}
	return true
}

// readable reads a key as the mirror does.
func (p *patient) readable(ctx context.Context, name string) {
	pipe := p.rdb.Pipeline()
	dump, ttl := pipe.Dump(ctx, doctorKey(name)), pipe.PTTL(ctx, doctorKey(name))
	_, _ = pipe.Exec(ctx)
	if err := firstError(dump, ttl); err != nil {
		p.warn("mirror", "its user may not read keys as the mirror does: "+err.Error(), "allow it +@read, DUMP and PTTL, or local stays cold")
		return
	}
	p.ok("mirror", "its user may read keys for it: DUMP and PTTL")
}

// standIn looks at what local must do in the application's own database.
func (p *patient) standIn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	key := "fallback:doctor:" + rand.Text()
	set := p.rdb.Set(ctx, key, "1", keptFor)
	if err := firstError(set); err != nil {
		p.refusal("writes", err)
		return
	}
	dump := p.rdb.Dump(ctx, key)
	restore := p.rdb.RestoreReplace(ctx, key, keptFor, dump.Val())
	err := firstError(dump, restore)
	p.rdb.Unlink(ctx, key)
	if err != nil {
		p.warn("mirror", "it cannot be kept warm: "+err.Error(), "allow its user DUMP and RESTORE")
		return
	}
	p.ok("writes", "its user may write keys, and RESTORE them for the mirror")
}

// needed does in one script what the journal does on local.
const needed = `local k, t = KEYS[1], redis.call('TIME')
redis.call('SET', k, '1', 'PX', ARGV[1]) redis.call('GET', k) redis.call('UNLINK', k)
redis.call('HSET', k, 'a', '1') redis.call('HGETALL', k) redis.call('UNLINK', k)
redis.call('RPUSH', k, '1') redis.call('LPOP', k)
redis.call('XADD', k, '*', 'a', '1') redis.call('XRANGE', k, '-', '+', 'COUNT', 1) redis.call('XTRIM', k, 'MAXLEN', 1)
redis.call('PEXPIRE', k, ARGV[1]) redis.call('PEXPIRETIME', k) redis.call('UNLINK', k)
redis.call('PUBLISH', k, '1')
redis.call('SELECT', ARGV[2]) redis.call('SELECT', ARGV[3])
return 'OK'`

// journalOn looks whether local can keep the journal and what all processes share, and returns what it has:
// nil where it has nothing, or cannot say.
func (c *checkup) journalOn(ctx context.Context, local *patient, name string, db int) *journal.Fleet {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	o := *local.o
	o.DB = db
	if db == local.o.DB {
		local.error("journal", fmt.Sprintf("the application's own database is number %d as well: the journal must have one for itself", db),
			"choose another (REDIS_FALLBACK_JOURNAL_DATABASE)")
		return nil
	}
	rdb := redis.NewClient(&o)
	defer rdb.Close()
	fit, err := journal.Examine(ctx, rdb, db)
	if err != nil {
		local.refusal("journal", err)
		return nil
	}
	able := c.fitness(local, fit)
	if !able {
		return nil
	}
	if err := rdb.Eval(ctx, needed, []string{doctorKey(name)}, keptFor.Milliseconds(), local.o.DB, db).Err(); err != nil {
		local.error("journal", "its user may not do in a script what the journal does: "+err.Error(),
			"allow it +@scripting +@read +@write +@connection and PUBLISH, and the keys fallback:*")
		return nil
	}
	local.ok("journal", "its user may keep one in database %d, by scripts", db)
	heard(ctx, local, rdb, name)
	f, err := journal.New(rdb, name, db).Tick(ctx, nil, journal.Limits{})
	switch {
	case errors.Is(err, journal.ErrGone):
		c.add(diagnosis.OK, "service", "state", fmt.Sprintf("no application of the name %q has used this local yet", name), "")
		return nil
	case err != nil:
		local.refusal("journal", err)
		return nil
	}
	r := newReport(name, db, f, journal.Fitness{}) // its fitness has been told
	c.add(levelOf(f.Record.Serving), "service", "state", fmt.Sprintf("%s serves, for %s, reason %s; %s",
		f.Record.Serving, diagnosis.Span(f.Now.Sub(f.Record.Since)), f.Record.Reason, plural(int64(len(f.Processes)), "process", "processes")), "")
	for _, found := range r.Findings {
		c.add(found.Level, "service", found.Code, found.What, strings.TrimSpace(found.Do+" "+found.Command))
	}
	return f
}

func levelOf(s journal.Serving) diagnosis.Level {
	if s == journal.Primary {
		return diagnosis.OK
	}
	return diagnosis.Warning
}

// fitness tells what local's own settings put at risk. It reports whether there can be a journal at all.
func (c *checkup) fitness(local *patient, fit journal.Fitness) bool {
	able := true
	for _, f := range diagnosis.Of(fallback.Status{
		Enabled: true, Journal: fallback.JournalStatus{On: true, Warnings: warningsOf(fit)},
	}, time.Now()) {
		able = able && f.Level != diagnosis.Error
		c.add(f.Level, "local", strings.TrimPrefix(f.Code, "local-"), f.What, f.Do)
	}
	switch fit.Durability {
	case journal.DurableAlways:
		local.ok("durability", "all that it acknowledges is on its disk first (appendfsync always)")
	case journal.DurableSecond:
		local.ok("durability", "a crash of its machine loses the last second at most (appendfsync everysec)")
	case journal.DurableNone: // a warning
	default:
		local.ok("durability", "it does not say")
	}
	return able
}

func warningsOf(fit journal.Fitness) []fallback.Warning {
	var all []fallback.Warning
	for _, w := range fit.Warnings {
		all = append(all, fallback.Warning{Code: w.Code, Text: w.Text, Do: w.Do})
	}
	return all
}

// heard looks whether changes can be heard of as they are made.
func heard(ctx context.Context, local *patient, rdb *redis.Client, name string) {
	ps := rdb.Subscribe(ctx, journal.New(rdb, name, 0).Channel())
	defer ps.Close()
	if _, err := ps.Receive(ctx); err != nil {
		local.warn("changes", "its user may not subscribe: "+err.Error(), "allow it the channel fallback:*, or a switch is heard of up to half a minute late")
		return
	}
	local.ok("changes", "its user may hear of switches as they are made")
}

// both compares the two servers.
func (c *checkup) both(ctx context.Context, primary, local *patient) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	same, err := sameServer(ctx, primary, local)
	switch {
	case same:
		c.add(diagnosis.Error, "both", "two servers", "both URLs lead to one server: nothing can take over", "give REDIS_FALLBACK_URL another server")
	case primary.limit && err != nil: // which has been told
	case err != nil:
		c.add(diagnosis.Warning, "both", "two servers", "it could not be found out whether they are two: "+err.Error(), "look at both URLs")
	default:
		c.add(diagnosis.OK, "both", "two servers", "they are two", "")
	}
	if p, l := primary.clock, local.clock; p.known && l.known {
		apart := &patient{checkup: c, name: "both"}
		apart.tellClock("clocks", "local's", clock{p.ahead - l.ahead, p.give + l.give, true})
	}
}

// sameServer asks no more than INFO has told, where both have told which process they are.
func sameServer(ctx context.Context, primary, local *patient) (bool, error) {
	if a, b := primary.server["run_id"], local.server["run_id"]; a != "" && b != "" {
		return a == b, nil
	}
	key := "fallback:doctor:" + rand.Text()
	if err := local.rdb.Set(ctx, key, "1", keptFor).Err(); err != nil {
		return false, err
	}
	defer local.rdb.Unlink(context.WithoutCancel(ctx), key)
	n, err := primary.rdb.Exists(ctx, key).Result()
	return n > 0, err
}

func (p *patient) policy() string {
	if v, ok := p.server["maxmemory_policy"]; ok {
		return v
	}
	return p.server["maxmemory-policy"]
}

func (p *patient) memoryMax() int64 { return p.number("maxmemory") }

func orUnknown(s string) string {
	if s == "" {
		return "it does not say"
	}
	return s
}
