package fallback_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// A closure for one call, as an autopipeline has one built for each batch, does not take the place of
// one of a Watch that is being built at that time: its EXEC would go where its WATCH is not.
func TestClosuresOfOneCallDoNotMixWithASet(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, nil }
	one := func(context.Context, redis.Cmder) error { return nil }
	many := func(context.Context, []redis.Cmder) error { return nil }
	stranger := func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.h.ProcessHook(one)
			p.h.ProcessPipelineHook(many)
		}()
		<-done
	}

	p.h.DialHook(dial)
	stranger()
	process := p.h.ProcessHook(one)
	stranger()
	p.h.ProcessPipelineHook(many)
	stranger()
	var execs int
	tx := p.h.ProcessPipelineHook(func(context.Context, []redis.Cmder) error {
		execs++
		return nil
	})

	if err := process(ctx, redis.NewStatusCmd(ctx, "watch", "k")); err != nil {
		t.Fatalf("WATCH: %v", err)
	}
	p.h.Pin(fallback.Local)
	err := tx(ctx, []redis.Cmder{
		redis.NewStatusCmd(ctx, "multi"), redis.NewIntCmd(ctx, "incr", "k"), redis.NewSliceCmd(ctx, "exec"),
	})
	if err != redis.TxFailedErr || execs != 0 || p.local.Count("INCR") != 0 { //nolint:errorlint // as go-redis compares it
		t.Errorf("an EXEC that a switch has met: %v; %d on the primary, %d on local", err, execs, p.local.Count("INCR"))
	}
}

// The sets of sessions that are begun at the same time, each on a goroutine of its own whose stack has
// yet to grow, are told apart. A stack that the collector moves at that very moment may spoil one.
func TestSetsOfManyGoroutines(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.Ping(ctx)
	const sessions = 5000
	var failed atomic.Int64
	var wg sync.WaitGroup
	limit := make(chan struct{}, 64)
	for i := range sessions {
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			if err := add(p.rdb, strconv.Itoa(i), nil); err != nil {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	t.Logf("%d of %d sessions were not recognised", failed.Load(), sessions)
	if failed.Load() > sessions/500 {
		t.Errorf("%d of %d sessions were not recognised", failed.Load(), sessions)
	}
}

// Should go-redis build hooks in another order, sessions stay on the primary, and one line says so.
func TestAnotherOrderOfBuilders(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	log := &lines{}
	local := redis.NewClient(p.local.Options())
	defer local.Close()
	h := fallback.New(local, fallback.WithLogger(log.logger()))
	defer h.Shutdown(ctx)
	var sent []string
	one := func(_ context.Context, cmd redis.Cmder) error {
		sent = append(sent, cmd.Name())
		return nil
	}
	many := func(context.Context, []redis.Cmder) error { return nil }
	set := func() redis.ProcessHook {
		h.ProcessPipelineHook(many)
		process := h.ProcessHook(one)
		h.DialHook(func(context.Context, string, string) (net.Conn, error) { return nil, nil })
		h.ProcessPipelineHook(many)
		return process
	}
	root := set()
	if err := root(ctx, redis.NewStatusCmd(ctx, "set", "k", "v")); err != nil {
		t.Fatal(err)
	}
	tx := set()
	if err := tx(ctx, redis.NewStatusCmd(ctx, "watch", "k")); err != nil || len(sent) != 2 {
		t.Errorf("WATCH: %v; sent %v", err, sent)
	}
	h.Pin(fallback.Local)
	if err := tx(ctx, redis.NewStatusCmd(ctx, "watch", "k")); !errors.Is(err, fallback.ErrPinned) || len(sent) != 2 {
		t.Errorf("WATCH while local serves: %v; sent %v", err, sent)
	}
	if n := strings.Count(log.String(), "in an order that is not known"); n != 1 {
		t.Errorf("%d lines, want 1:\n%s", n, log)
	}
}
