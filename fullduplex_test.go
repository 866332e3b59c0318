package fallback_test

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// duplex returns the two faces of a client's autopipeline, in full duplex.
func duplex(t *testing.T, rdb *redis.Client) map[string]*redis.AutoPipeliner {
	t.Helper()
	return faces(t, rdb, true)
}

func faces(t *testing.T, rdb *redis.Client, full bool) map[string]*redis.AutoPipeliner {
	t.Helper()
	blocking, async := redis.DefaultBlockingAutoPipelineOptions(), redis.DefaultAutoPipelineOptions()
	blocking.FullDuplex, async.FullDuplex = full, full
	a, err := rdb.AutoPipelineWithOptions(blocking)
	if err != nil {
		t.Fatal(err)
	}
	b, err := rdb.AsyncAutoPipelineWithOptions(async)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = a.Close()
		_ = b.Close()
	})
	return map[string]*redis.AutoPipeliner{"blocking": a, "async": b}
}

func number(t *testing.T, s *fallbacktest.Server, key string) int {
	t.Helper()
	n, err := strconv.Atoi("0" + get(t, s, key))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// increments has 8 callers send 25 INCR each through an autopipeline, and returns how many succeeded.
func increments(ap *redis.AutoPipeliner, key string) int {
	var ok atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			cmds := make([]*redis.IntCmd, 25)
			for i := range cmds {
				cmds[i] = ap.Incr(ctx, key)
			}
			for _, cmd := range cmds {
				if cmd.Err() == nil {
					ok.Add(1)
				}
			}
		})
	}
	all.Wait()
	return int(ok.Load())
}

// A command that full duplex has put on the wire is answered by one server.
func TestFullDuplexRunsOnOneServer(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		var opts []fallbacktest.Option
		if secure {
			opts = append(opts, fallbacktest.WithTLS())
		}
		p := pairOf(t, fallbacktest.Run(t, opts...), fallbacktest.Run(t), nil)
		for face, ap := range duplex(t, p.rdb) {
			p.primary.Renew()
			p.h.Pin(fallback.Primary)
			p.h.Unpin()
			ap.Incr(ctx, face).Val() // connected
			p.primary.Quota(100)
			ok := increments(ap, face)
			onPrimary, onLocal := number(t, p.primary, face), number(t, p.local, face)
			if ok != 200 || onPrimary != 101 || onLocal != 100 {
				t.Errorf("%s, TLS %v: %d of 200 succeeded; %d and one ran on the primary, %d on local",
					face, secure, ok, onPrimary-1, onLocal)
			}
			p.serves(t, fallback.Local)
		}
	}
}

// While local serves, the primary's answer to what is on its wire is the answer.
func TestFullDuplexIsAnsweredWhereItRan(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.primary.Exhaust()
	p.rdb.Ping(ctx)
	p.rdb.Get(ctx, "k")
	p.serves(t, fallback.Local)
	for face, ap := range duplex(t, p.rdb) {
		p.primary.Renew()
		for i := range 3 {
			if n, err := ap.Incr(ctx, face).Result(); err != nil || n != int64(i+1) {
				t.Errorf("%s: INCR %d: %d, %v", face, i+1, n, err)
			}
		}
		if _, err := ap.Get(ctx, "nosuch").Result(); err != redis.Nil { //nolint:errorlint // untouched
			t.Errorf("%s: a missing key is %v", face, err)
		}
		if a, b := number(t, p.primary, face), number(t, p.local, face); a != 3 || b != 0 {
			t.Errorf("%s: ran %d times on the primary and %d on local, want 3 and 0", face, a, b)
		}
		p.primary.Exhaust()
		if n, err := ap.Incr(ctx, face).Result(); err != nil || n != 1 || number(t, p.local, face) != 1 {
			t.Errorf("%s: what the primary refuses is not answered by local: %d, %v", face, n, err)
		}
		if err := ap.Incr(fallback.PrimaryOnly(ctx), face).Err(); err == nil || number(t, p.local, face) != 1 {
			t.Errorf("%s: local answered what must stay on the primary: %v", face, err)
		}
	}
	eventually(t, "the log", func() bool { return strings.Contains(p.log.String(), "writes beside the hooks") })
	if n := strings.Count(p.log.String(), "writes beside the hooks"); n != 1 {
		t.Errorf("said %d times in one era:\n%s", n, p.log)
	}
}

func TestFullDuplexLosesAReplyOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for face, ap := range duplex(t, p.rdb) {
		for _, connected := range []bool{false, true} {
			key := face + strconv.FormatBool(connected)
			if connected {
				ap.Ping(ctx).Err()
			}
			p.primary.LoseReply("INCR", 1)
			if err := ap.Incr(ctx, key).Err(); !errors.Is(err, io.EOF) {
				t.Errorf("%s: a lost reply is %v", key, err)
			}
			if n := number(t, p.primary, key); n != 1 {
				t.Errorf("%s: one INCR was %d", key, n)
			}
			if err := ap.Incr(ctx, key).Err(); err != nil {
				t.Errorf("%s: the next one: %v", key, err)
			}
		}
	}
	p.serves(t, fallback.Primary)
}

func TestFullDuplexInAnOutage(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	all := duplex(t, p.rdb)
	for face, ap := range all {
		ap.Set(ctx, face, 1, 0).Err()
	}
	p.primary.Stop()
	for face, ap := range all {
		eventually(t, "an answer of local", func() bool { return ap.Set(ctx, face, "local", 0).Err() == nil })
		if n := increments(ap, face+"n"); n != 200 || number(t, p.local, face+"n") != 200 {
			t.Errorf("%s: %d of 200 succeeded, %d ran on local", face, n, number(t, p.local, face+"n"))
		}
	}
	p.serves(t, fallback.Local)
	if st := p.h.Status(); st.Reason != fallback.ReasonOutage {
		t.Errorf("%+v", st)
	}
}

func TestFullDuplexOnAHungServer(t *testing.T) {
	t.Parallel()
	p := newPair(t, fallback.WithHang(100*time.Millisecond, 100*time.Millisecond))
	all := duplex(t, p.rdb)
	for face, ap := range all {
		ap.Set(ctx, face, 1, 0).Err()
	}
	p.primary.Hang()
	for face, ap := range all {
		if v, err := ap.Set(ctx, face, "local", 0).Result(); err != nil || v != "OK" || get(t, p.local, face) != "local" {
			t.Errorf("%s: what hangs and is harmless twice did not come from local: %q, %v", face, v, err)
		}
		if err := ap.Incr(ctx, face+"n").Err(); err == nil && number(t, p.local, face+"n") != 1 {
			t.Errorf("%s: INCR reports a success that is nowhere", face)
		}
	}
	p.serves(t, fallback.Local)
	p.primary.Resume()
}

// Pipelines of a full-duplex autopipeline pass the hook before anything is sent.
func TestFullDuplexPipelines(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for face, ap := range duplex(t, p.rdb) {
		p.primary.Renew()
		p.h.Pin(fallback.Primary)
		p.h.Unpin()
		for _, serving := range []fallback.Backend{fallback.Primary, fallback.Local} {
			key := face + serving.String()
			at := p.primary
			if serving == fallback.Local {
				p.primary.Exhaust()
				at = p.local
			}
			cmds, err := ap.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Incr(ctx, key)
				pipe.Get(ctx, key)
				return nil
			})
			if err != nil || cmds[1].(*redis.StringCmd).Val() != "1" {
				t.Errorf("%s: pipeline: %v", key, err)
			}
			reads, err := ap.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Get(ctx, key)
				pipe.Exists(ctx, key)
				return nil
			})
			if err != nil || reads[0].(*redis.StringCmd).Val() != "1" {
				t.Errorf("%s: pipeline of reads: %v", key, err)
			}
			if _, err := ap.TxPipelined(ctx, func(pipe redis.Pipeliner) error { pipe.Incr(ctx, key); return nil }); err != nil {
				t.Errorf("%s: transaction: %v", key, err)
			}
			one := redis.NewIntCmd(ctx, "incr", key)
			if err := ap.FDPipelined(ctx, []redis.Cmder{one}); err != nil || one.Val() != 3 {
				t.Errorf("%s: FDPipelined: %d, %v", key, one.Val(), err)
			}
			p.serves(t, serving)
			if n := number(t, at, key); n != 3 {
				t.Errorf("%s: %d, want 3", key, n)
			}
		}
	}
}

// FDPipelined is sent as one, and what is lost of it is not sent again.
func TestFullDuplexPipelineLosesAReplyOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for face, ap := range duplex(t, p.rdb) {
		p.primary.LoseReply("INCR", 1)
		a, b := redis.NewIntCmd(ctx, "incr", face), redis.NewIntCmd(ctx, "incr", face+"2")
		if err := ap.FDPipelined(ctx, []redis.Cmder{a, b}); !errors.Is(err, io.EOF) {
			t.Errorf("%s: a lost reply is %v", face, err)
		}
		// The server may go on with what it had read.
		if m, n := number(t, p.primary, face), number(t, p.primary, face+"2"); m != 1 || n > 1 {
			t.Errorf("%s: one INCR was %d, the next %d", face, m, n)
		}
	}
}

// A connection that the server has closed while full duplex did not hold it costs no error.
func TestFullDuplexOnAStaleConnection(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]fallbacktest.Option{nil, {fallbacktest.WithTLS()}} {
		p := pairOf(t, fallbacktest.Run(t, opts...), fallbacktest.Run(t), nil)
		o := redis.DefaultBlockingAutoPipelineOptions()
		o.FullDuplex, o.FullDuplexIdleTimeout = true, time.Millisecond
		ap, err := p.rdb.AutoPipelineWithOptions(o)
		if err != nil {
			t.Fatal(err)
		}
		ap.Incr(ctx, "n").Val()
		free := 0
		for i := range 5 {
			time.Sleep(50 * time.Millisecond) // given back to the pool, unless the machine is very busy
			p.primary.Cut()
			eventually(t, "the end of the connections", func() bool { return p.primary.Connections() == 0 })
			time.Sleep(10 * time.Millisecond)
			if ap.Incr(ctx, "n").Err() == nil {
				free++
			}
			if n := number(t, p.primary, "n"); n > i+2 {
				t.Errorf("TLS %v: %d INCR ran %d times", opts != nil, i+2, n)
			}
		}
		if free == 0 {
			t.Errorf("TLS %v: each end of an idle connection costs an error", opts != nil)
		}
		_ = ap.Close()
	}
}
