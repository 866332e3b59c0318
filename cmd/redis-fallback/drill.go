package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

const drillUsage = `Proves that this application's settings fail over and return: with the servers of the environment
(REDIS_URL, REDIS_FALLBACK_URL and the other REDIS_FALLBACK_ variables), and with refusals that are made
up on this side, so that no quota is spent on them. The primary executes about thirty small commands.
Applications that run on the same servers notice nothing. Keys of the drill are removed at the end. Exits
with 1, and a sentence, when a step fails.

  REDIS_URL=rediss://default:pw@host:6379 REDIS_FALLBACK_URL=redis://localhost:6379 redis-fallback drill

`

// exercise is one run of the drill.
type exercise struct {
	out   io.Writer
	rdb   *redis.Client
	h     *fallback.Hook
	local *redis.Client
	r     *refuser
	key   string
	token string
	name  string
}

func drill(ctx context.Context, args []string, out, stderr io.Writer) error {
	f := flags("drill", drillUsage, stderr)
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return errors.New("usage: redis-fallback drill")
	}
	token := fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())
	// A name of its own, or its switches would be those of all that share local.
	name := "drill-" + token
	rdb, h, err := fallback.FromEnv(fallback.WithLogger(slog.New(slog.DiscardHandler)), fallback.WithName(name))
	if err != nil {
		return err
	}
	defer rdb.Close()
	defer h.Shutdown(context.WithoutCancel(ctx))
	if !h.Status().Enabled {
		return errors.New("the fallback is switched off: set REDIS_FALLBACK_URL, or REDIS_FALLBACK_ENABLED=true")
	}
	local, err := localClient()
	if err != nil {
		return err
	}
	defer local.Close()
	d := &exercise{out: out, rdb: rdb, h: h, local: local, r: &refuser{}, key: "redis-fallback-drill:" + token, token: token, name: name}
	rdb.AddHook(d.r)
	defer d.cleanUp()
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"local answers", d.localAnswers},
		{"local can be written to", d.localWrites},
		{"the primary answers", d.primaryAnswers},
		{"the primary can be written to", d.primaryWrites},
		{"they are two servers", d.apart},
		{"a refused command is answered by local", d.failsOver},
		{"so are a pipeline and a transaction", d.batches},
		{"the primary is left alone", d.leftAlone},
		{"good probes bring the primary back", d.returns},
		{"what local acknowledged is there", d.delivered},
	} {
		began := time.Now()
		bounded, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := step.run(bounded)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		took := time.Since(began).Round(10 * time.Microsecond)
		if err != nil {
			fmt.Fprintf(out, "FAIL  %-42s %10s\n", step.name, took)
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(out, "ok    %-42s %10s\n", step.name, took)
	}
	fmt.Fprintln(out, "\nThis application fails over, and returns.")
	return nil
}

// localClient is a client of local without the hook. FromEnv has accepted its URL.
func localClient() (*redis.Client, error) {
	o, err := localOptions()
	if err != nil {
		return nil, err
	}
	return redis.NewClient(o), nil
}

func localOptions() (*redis.Options, error) {
	url := strings.TrimSpace(os.Getenv("REDIS_FALLBACK_URL"))
	if url == "" {
		url = "redis://localhost:6379/0"
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("REDIS_FALLBACK_URL: not a Redis URL")
	}
	o.MaxRetries, o.DialerRetries = -1, 1
	return o, nil
}

// advice turns what a server said into what to do.
func advice(variable string, err error) error {
	switch {
	case err == nil:
		return nil
	case redis.IsPermissionError(err):
		return fmt.Errorf("its user has no permission for it; allow the drill's key and the commands used: %w", err)
	case redis.IsAuthError(err):
		return fmt.Errorf("wrong or missing password in %s: %w", variable, err)
	case fallback.Detect(nil, err) == fallback.Busy, fallback.Detect(nil, err) == fallback.Lost,
		errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("not reachable; is %s right, and the server running? %w", variable, err)
	}
	return err
}

func (d *exercise) localAnswers(ctx context.Context) error {
	return advice("REDIS_FALLBACK_URL", d.local.Ping(ctx).Err())
}

func (d *exercise) localWrites(ctx context.Context) error {
	return advice("REDIS_FALLBACK_URL", d.local.Set(ctx, d.key+":local", d.token, time.Minute).Err())
}

func (d *exercise) primaryAnswers(ctx context.Context) error {
	err := d.rdb.Ping(ctx).Err()
	if err == nil && d.h.Serving() != fallback.Primary {
		return fmt.Errorf("it is out of service already, and local has answered: %s", d.h.Status().Cause)
	}
	return advice("REDIS_URL", err)
}

func (d *exercise) primaryWrites(ctx context.Context) error {
	if err := d.h.Probe(ctx); err != nil {
		return advice("REDIS_URL", fmt.Errorf("the probe's key: %w", err))
	}
	return advice("REDIS_URL", d.rdb.Set(ctx, d.key+":primary", d.token, time.Minute).Err())
}

func (d *exercise) apart(ctx context.Context) error {
	n, err := d.rdb.Exists(ctx, d.key+":local").Result()
	if err != nil {
		return err
	}
	if n != 0 || d.h.Status().SameServer {
		return errors.New("REDIS_URL and REDIS_FALLBACK_URL lead to the same server: what is written to the one is on the other")
	}
	return nil
}

func (d *exercise) failsOver(ctx context.Context) error {
	d.r.on.Store(true)
	n, err := d.rdb.Incr(ctx, d.key+":n").Result()
	switch {
	case err != nil:
		return err
	case d.h.Serving() != fallback.Local:
		return errors.New("the hook did not switch")
	case n != 1:
		return fmt.Errorf("INCR of a new key answered %d", n)
	}
	d.local.Expire(ctx, d.key+":n", time.Minute)
	return nil
}

func (d *exercise) batches(ctx context.Context) error {
	set := func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, d.key+":a", d.token, time.Minute)
		pipe.Get(ctx, d.key+":a")
		return nil
	}
	for _, run := range []func(context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error){d.rdb.Pipelined, d.rdb.TxPipelined} {
		if _, err := run(ctx, set); err != nil {
			return err
		}
	}
	v, err := d.local.Get(ctx, d.key+":a").Result()
	if err == nil && v != d.token {
		err = errors.New("what was written is not on local")
	}
	return err
}

func (d *exercise) leftAlone(ctx context.Context) error {
	dials := d.h.Status().Primary.Dials
	for range 100 {
		if err := d.rdb.Get(ctx, d.key+":a").Err(); err != nil {
			return err
		}
	}
	if st := d.h.Status(); st.Refused != 1 || st.Primary.Dials != dials {
		return fmt.Errorf("%d refusals and %d new connections in 100 calls, want 1 and none", st.Refused, st.Primary.Dials-dials)
	}
	return nil
}

func (d *exercise) returns(ctx context.Context) error {
	d.r.on.Store(false)
	for probes := 0; d.h.Serving() != fallback.Primary; probes++ {
		if probes == 100 {
			return errors.New("the hook did not return after 100 good probes")
		}
		if err := d.h.Probe(ctx); err != nil {
			return advice("REDIS_URL", err)
		}
	}
	v, err := d.rdb.Get(ctx, d.key+":primary").Result()
	if err == nil && v != d.token {
		err = errors.New("the primary answers with somebody else's data")
	}
	return err
}

func (d *exercise) delivered(ctx context.Context) error {
	if off := d.h.Status().Journal.Off; off != "" {
		return fmt.Errorf("there is no journal: %s", off)
	}
	n, err := d.rdb.Get(ctx, d.key+":n").Int()
	if err == nil && n != 1 {
		err = fmt.Errorf("a counter that was incremented once on local is %d on the primary", n)
	}
	return err
}

func (d *exercise) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = d.h.Shutdown(ctx) // or it would write its record again
	keys := []string{d.key + ":local", d.key + ":primary", d.key + ":n", d.key + ":a"}
	_ = d.local.Del(ctx, keys...).Err()
	keys = append(keys[1:], d.forget(ctx)...)
	if d.h.Serving() == fallback.Primary {
		_ = d.rdb.Del(ctx, keys...).Err()
	}
}

// forget removes the record and the journal of the drill, and returns the keys that the primary has of it.
func (d *exercise) forget(ctx context.Context) []string {
	o := *d.local.Options()
	if o.DB = d.h.Status().Journal.Database; o.DB <= 0 {
		return nil
	}
	store := journal.New(redis.NewClient(&o), d.name, o.DB)
	defer store.Client().Close()
	v, err := store.Open(ctx, "") // makes one where there is none
	all := store.Client().Scan(ctx, 0, "fallback:"+d.name+":*", 1000).Iterator()
	for all.Next(ctx) {
		_ = store.Client().Del(ctx, all.Val()).Err()
	}
	if err != nil {
		return nil
	}
	return []string{store.FingerprintKey(), store.PositionKey(v.Record.ID)}
}
