package fallback_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// secret is planted in passwords, names, keys, values, channels and scripts.
const secret = "hunter2"

// useAll has everything that moves with a switch used, and returns the errors.
func useAll(p *pair) (errs []error) {
	say := func(err error) {
		if err != nil && err != redis.Nil { //nolint:errorlint // as go-redis returns it
			errs = append(errs, err)
		}
	}
	say(add(p.rdb, secret+":n", func(tx *redis.Tx) error { return tx.Get(ctx, secret+":other").Err() }))
	conn := p.rdb.Conn()
	defer conn.Close()
	say(conn.Select(ctx, 1).Err())
	say(conn.ClientSetName(ctx, secret).Err())
	say(conn.Set(ctx, secret+":k", secret, 0).Err())
	say(conn.Do(ctx, "multi").Err())
	say(conn.Do(ctx, "set", secret, secret).Err())
	say(conn.Do(ctx, "exec").Err())
	ps := p.rdb.Subscribe(ctx, secret+":c")
	defer ps.Close()
	say(ps.PSubscribe(ctx, secret+"*"))
	_, err := ps.ReceiveTimeout(ctx, 20*time.Millisecond)
	say(err)
	say(p.rdb.Publish(ctx, secret+":c", secret).Err())
	say(redis.NewScript("return redis.call('get', KEYS[1]) --"+secret).Run(ctx, p.rdb, []string{secret + ":k"}, secret).Err())
	say(p.rdb.EvalSha(ctx, strings.Repeat("0", 40), []string{secret}).Err())
	say(p.rdb.Scan(ctx, 77, secret+"*", 1).Err())
	_, err = p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, secret+":n")
		pipe.Do(ctx, secret, secret)
		return nil
	})
	say(err)
	return errs
}

// No key, value, channel, name, script or password stands in a log line, a status, an event or an error of
// ours, whatever is used while the service switches.
func TestNoSecretIsShownAcrossSwitches(t *testing.T) {
	t.Parallel()
	var events []string
	log := &lines{}
	p := pairOf(t, fallbacktest.Run(t, fallbacktest.WithPassword(secret+"-one")), fallbacktest.Run(t, fallbacktest.WithPassword(secret+"-two")),
		func(o *redis.Options) { o.ClientName = secret + "-client" },
		fallback.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		fallback.WithOnSwitch(func(ev fallback.Event) { events = append(events, string(ev.Reason)) }))
	p.log = log
	replies := []string{
		"NOPERM User " + secret + " has no permissions to access the '" + secret + ":k' key", "WRONGPASS " + secret,
		"MISCONF " + secret, "LOADING " + secret, "ERR unknown command '" + secret + "'", "BUSYKEY " + secret,
	}
	for _, reply := range replies {
		for _, s := range []*fallbacktest.Server{p.primary, p.local} {
			s.Refuse(reply)
			useAll(p)
			s.Renew()
			p.h.Pin(fallback.Local)
			useAll(p)
			p.h.Pin(fallback.Primary)
			p.h.Unpin()
			shown(t, p, reply)
		}
	}
	p.primary.Exhaust()
	useAll(p)
	p.serves(t, fallback.Local)
	p.local.Stop()
	for _, err := range useAll(p) {
		if _, ok := errors.AsType[*fallback.Error](err); ok && strings.Contains(err.Error(), secret) {
			t.Errorf("an error shows it: %v", err)
		}
	}
	if err := p.h.Shutdown(ctx); err != nil || len(events) == 0 {
		t.Errorf("%v; events %v", err, events)
	}
	shown(t, p, "both gone")
}

func shown(t *testing.T, p *pair, when string) {
	t.Helper()
	if all := p.log.String() + fmt.Sprintf("%+v", p.h.Status()); strings.Contains(all, secret) {
		t.Errorf("%s: a log line or the status shows it:\n%s", when, all)
	}
}
