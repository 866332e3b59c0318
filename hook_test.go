package fallback_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// pair is a program with the hook: a client on a metered primary, and a local.
// lines collects log lines.
// quick makes a return a matter of milliseconds.
func TestQuotaTripsAndReplays(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	if err := p.rdb.Set(ctx, "k", "primary", 0).Err(); err != nil {
		t.Fatal(err)
	}
	p.primary.Exhaust()
	for i := range 3 {
		n, err := p.rdb.Incr(ctx, "n").Result()
		if err != nil || n != int64(i+1) {
			t.Fatalf("INCR %d over quota: %d, %v", i+1, n, err)
		}
	}
	p.serves(t, fallback.Local)
	if _, err := p.rdb.Get(ctx, "k").Result(); err != redis.Nil { //nolint:errorlint // untouched is the point
		t.Errorf("GET of what local does not have: %v, want redis.Nil itself", err)
	}
	if n := p.primary.Refused(); n != 1 {
		t.Errorf("the primary refused %d commands, want the one that tripped", n)
	}
	st := p.h.Status()
	if st.Trips != 1 || st.Reason != fallback.ReasonQuota || st.Refused != 1 || st.Local.Answered != 4 || st.NextProbe.IsZero() {
		t.Errorf("status %+v", st)
	}
}

func TestReturnsByItself(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var events []fallback.Event
	p := newPair(t, quick(), fallback.WithOnSwitch(func(e fallback.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}))
	p.primary.Exhaust()
	p.rdb.Set(ctx, "k", "local", 0)
	p.serves(t, fallback.Local)
	p.primary.Renew()
	eventually(t, "the return", func() bool { return p.h.Serving() == fallback.Primary })
	if err := p.rdb.Set(ctx, "k", "primary", 0).Err(); err != nil || get(t, p.primary, "k") != "primary" {
		t.Errorf("after the return: %v", err)
	}
	if n := p.primary.Count("SET"); n < 4 {
		t.Errorf("%d SETs on the primary, want three good probes and one command", n)
	}
	if err := p.h.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(events) != 2 || events[0].To != fallback.Local || events[1].To != fallback.Primary ||
		events[0].Reason != fallback.ReasonQuota || events[1].Reason != fallback.ReasonRecovered {
		t.Errorf("events %+v", events)
	}
	if n := bytes.Count([]byte(p.log.String()), []byte("\n")); n != 2 {
		t.Errorf("%d log lines, want one for the trip and one for the return:\n%s", n, p.log)
	}
	ttl := p.primary.Data().TTL("fallback:probe")
	if ttl <= 0 || ttl > time.Minute {
		t.Errorf("the probe's key lives for %v, want a minute", ttl)
	}
}

func TestQuotaAtTheHandshake(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]fallbacktest.Option{{fallbacktest.WithPassword("pw")}, nil} {
		p := pairOf(t, fallbacktest.Run(t, opts...), fallbacktest.Run(t), nil)
		p.primary.Exhaust()
		p.primary.RefuseHandshake(true)
		if n, err := p.rdb.Incr(ctx, "n").Result(); n != 1 || err != nil {
			t.Fatalf("INCR with a refused handshake: %d, %v", n, err)
		}
		p.serves(t, fallback.Local)
		if p.primary.Count("INCR") != 0 || p.local.Count("AUTH") != 0 && p.local.Count("HELLO") > 1 {
			t.Error("the handshake was replayed, or the command was sent to the primary")
		}
		p.primary.Renew()
		p.h.Pin(fallback.Primary)
		if err := p.rdb.Set(ctx, "k", 1, 0).Err(); err != nil || get(t, p.primary, "k") != "1" {
			t.Errorf("after Renew: %v, k on the primary is %q", err, get(t, p.primary, "k"))
		}
		hello, err := p.rdb.Do(ctx, "hgetall", "nosuch").Result()
		if _, ok := hello.(map[any]any); !ok {
			t.Errorf("HGETALL by Do gives %T (%v): the connection does not speak RESP3", hello, err)
		}
	}
}

func TestLimitErrorWhenLocalIsGone(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.local.Stop()
	p.primary.Exhaust()
	began := time.Now()
	err := p.rdb.Incr(ctx, "n").Err()
	var limit *fallback.LimitError
	if !errors.As(err, &limit) || limit.Kind != fallback.LimitRequests || limit.Limit != 500000 || limit.Usage != 500006 {
		t.Fatalf("error %#v", err)
	}
	if _, ok := err.(redis.Error); !ok || err.Error() != fallbacktest.ReplyRequests { //nolint:errorlint // the type itself
		t.Errorf("%T %q: want a redis.Error with the server's own text", err, err)
	}
	p.serves(t, fallback.Primary)
	first := time.Since(began)
	began = time.Now()
	_ = p.rdb.Incr(ctx, "n").Err()
	if again := time.Since(began); again > first && again > 200*time.Millisecond {
		t.Errorf("the second call took %v: local was asked again", again)
	}
}

func TestPipelineReplaysTheRefusedOnesAlone(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.primary.Quota(2)
	pipe := p.rdb.Pipeline()
	var cmds []*redis.IntCmd
	for range 5 {
		cmds = append(cmds, pipe.Incr(ctx, "n"))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, c := range cmds {
		got = append(got, c.Val())
	}
	if fmt.Sprint(got) != "[1 2 1 2 3]" || get(t, p.primary, "n") != "2" || get(t, p.local, "n") != "3" {
		t.Errorf("replies %v, primary %s, local %s; want [1 2 1 2 3], 2, 3", got, get(t, p.primary, "n"), get(t, p.local, "n"))
	}
}

func TestTransactionIsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	tx := func(p *pair) (*redis.IntCmd, *redis.StatusCmd, error) {
		var n *redis.IntCmd
		var s *redis.StatusCmd
		_, err := p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			n = pipe.Incr(ctx, "n")
			s = pipe.Set(ctx, "s", "x", 0)
			return nil
		})
		return n, s, err
	}
	for _, c := range []struct {
		name           string
		set            func(*fallbacktest.Server)
		primary, local string
		ok             bool
	}{
		{"everything refused", func(s *fallbacktest.Server) { s.Exhaust() }, "", "1", true},
		{"the quota ends at a queued command", func(s *fallbacktest.Server) { s.Quota(2) }, "", "1", true},
		{"EXEC refused alone", func(s *fallbacktest.Server) { s.RefuseOnly("EXEC", fallbacktest.ReplyRequests) }, "", "1", true},
		{"MULTI refused alone: its commands ran", func(s *fallbacktest.Server) { s.RefuseOnly("MULTI", fallbacktest.ReplyRequests) }, "1", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.rdb.Ping(ctx)
			c.set(p.primary)
			n, s, err := tx(p)
			if c.ok && (err != nil || n.Val() != 1 || s.Val() != "OK") {
				t.Errorf("replies %d %q, error %v", n.Val(), s.Val(), err)
			}
			if !c.ok && !errors.Is(err, fallback.ErrPartialTransaction) {
				t.Errorf("error %v, want ErrPartialTransaction", err)
			}
			p.serves(t, fallback.Local) // the refusal is a signal in any case
			if get(t, p.primary, "n") != c.primary || get(t, p.local, "n") != c.local {
				t.Errorf("n is %q on the primary and %q on local, want %q and %q",
					get(t, p.primary, "n"), get(t, p.local, "n"), c.primary, c.local)
			}
			// Whatever happened, no later command meets a leftover reply.
			p.h.Pin(fallback.Primary)
			p.primary.Renew()
			p.primary.RefuseOnly("MULTI", "")
			p.primary.RefuseOnly("EXEC", "")
			for i := range 20 {
				if v, err := p.rdb.Echo(ctx, i).Result(); err != nil || v != fmt.Sprint(i) {
					t.Fatalf("ECHO %d: %v, %v", i, v, err)
				}
			}
		})
	}
}

func TestALostReplyIsNotRepeated(t *testing.T) {
	t.Parallel()
	lose := func(s *fallbacktest.Server) { s.LoseReply("INCR", 1) }
	single := func(p *pair) error { return p.rdb.Incr(ctx, "n").Err() }
	for _, c := range []struct {
		name string
		set  func(*fallbacktest.Server)
		call func(*pair) error
	}{
		{"lost", lose, single},
		{"half a reply", func(s *fallbacktest.Server) { s.HalfReply("INCR", 1) }, single},
		{"lost, then over quota", func(s *fallbacktest.Server) { lose(s); s.Quota(1) }, single},
		{"lost in a pipeline", lose, func(p *pair) error {
			_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Get(ctx, "a")
				pipe.Incr(ctx, "n")
				pipe.Get(ctx, "b")
				return nil
			})
			return err
		}},
		{"lost in a transaction", func(s *fallbacktest.Server) { s.LoseReply("EXEC", 1) }, func(p *pair) error {
			_, err := p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Incr(ctx, "n")
				return nil
			})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			c.set(p.primary)
			if err := c.call(p); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error %v, want the lost reply's EOF", err)
			}
			if get(t, p.primary, "n") != "1" || get(t, p.local, "n") != "" {
				t.Errorf("n is %q on the primary and %q on local, want 1 and none", get(t, p.primary, "n"), get(t, p.local, "n"))
			}
		})
	}
}

func TestALostReplyThenRefusedDials(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.primary.LoseReply("INCR", 1)
	if err := p.rdb.Incr(ctx, "n").Err(); !errors.Is(err, io.EOF) {
		t.Errorf("error %v, want EOF", err)
	}
	p.primary.Stop()
	if v, err := p.rdb.Incr(ctx, "n").Result(); v != 1 || err != nil {
		t.Errorf("the next INCR, on local: %d, %v", v, err)
	}
	if get(t, p.primary, "n") != "1" {
		t.Errorf("n on the primary is %q, want 1", get(t, p.primary, "n"))
	}
}

func TestReadsAreRepeated(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.Set(ctx, "k", "v", 0)
	p.primary.LoseReply("GET", 2)
	if v, err := p.rdb.Get(ctx, "k").Result(); v != "v" || err != nil {
		t.Errorf("GET whose reply was lost twice: %q, %v", v, err)
	}
}
