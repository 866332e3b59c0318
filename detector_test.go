package fallback_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// reply is an error reply, as a server sends it.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func TestEveryKnownReplyHasItsVerdict(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/upstash-errors.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct{ Reply, Kind string }
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	want := map[string]fallback.Verdict{
		"quota_month": fallback.Limit, "quota_day": fallback.Limit, "budget": fallback.Limit,
		"conns": fallback.Limit, "other": fallback.Limit, "storage": fallback.Capacity,
		"req_size": fallback.Answered, "rec_size": fallback.Answered, "key_size": fallback.Answered,
		"pel": fallback.Answered, "blocked_abort": fallback.Answered, "unsupported": fallback.Answered,
		"upgrade": fallback.Busy, "auth": fallback.Denied,
	}
	for _, r := range rows {
		v, known := want[r.Kind]
		if !known {
			t.Fatalf("kind %q of %q has no verdict in this test", r.Kind, r.Reply)
		}
		for _, text := range []string{r.Reply, strings.TrimPrefix(r.Reply, "ERR ")} {
			if got := fallback.Detect(nil, reply(text)); got != v {
				t.Errorf("%q is %v, want %v", text, got, v)
			}
		}
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
	for _, c := range []struct {
		err  error
		want fallback.Verdict
	}{
		{nil, fallback.Answered},
		{redis.Nil, fallback.Answered},
		{redis.TxFailedErr, fallback.Answered},
		{reply("WRONGTYPE Operation against a key holding the wrong kind of value"), fallback.Answered},
		{reply("NOSCRIPT No matching script. Please use EVAL."), fallback.Answered},
		{reply("EXECABORT Transaction discarded because of previous errors."), fallback.Answered},
		{reply("MOVED 1 127.0.0.1:1"), fallback.Answered},
		{reply("OOM command not allowed when used memory > 'maxmemory'."), fallback.Capacity},
		{reply("ERR Out of memory"), fallback.Capacity},
		{reply("LOADING Redis is loading the dataset in memory"), fallback.Busy},
		{reply("LOADING Valkey is loading the dataset in memory"), fallback.Busy},
		{reply("READONLY You can't write against a read only replica."), fallback.Busy},
		{reply("MISCONF Valkey is configured to save RDB snapshots"), fallback.Busy},
		{reply("BUSY Redis is busy running a script."), fallback.Busy},
		{reply("CLUSTERDOWN Hash slot not served"), fallback.Busy},
		{reply("MASTERDOWN Link with MASTER is down"), fallback.Busy},
		{reply("TRYAGAIN Multiple keys request during rehashing of slot"), fallback.Busy},
		{reply("NOREPLICAS Not enough good replicas to write."), fallback.Busy},
		{reply("ERR max number of clients reached"), fallback.Busy},
		{reply("NOAUTH Authentication required."), fallback.Denied},
		{reply("WRONGPASS invalid username-password pair"), fallback.Denied},
		{reply("NOPERM this user has no permissions"), fallback.Denied},
		{fmt.Errorf("failed to authenticate: %w", reply(fallbacktest.ReplyDaily)), fallback.Limit},
		{context.Canceled, fallback.Cancelled},
		{context.DeadlineExceeded, fallback.Cancelled},
		{dial, fallback.Busy},
		{fmt.Errorf("wrapped: %w", dial), fallback.Busy},
		{redis.ErrPoolTimeout, fallback.Busy},
		{redis.ErrPoolExhausted, fallback.Busy},
		{redis.ErrClosed, fallback.Answered},
		{io.EOF, fallback.Lost},
		{io.ErrUnexpectedEOF, fallback.Lost},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, fallback.Lost},
		{&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, fallback.Lost},
		{errors.New("redis: can't marshal struct {} (implement encoding.BinaryMarshaler)"), fallback.Answered},
	} {
		if got := fallback.Detect(nil, c.err); got != c.want {
			t.Errorf("%v is %v, want %v", c.err, got, c.want)
		}
	}
}

// What merely contains the words is not a limit.
func TestAnApplicationsOwnErrorIsNoLimit(t *testing.T) {
	t.Parallel()
	eval := redis.NewCmd(ctx, "eval", "return redis.error_reply(ARGV[1])", 0, "x")
	for _, c := range []struct {
		cmd  redis.Cmder
		text string
		want fallback.Verdict
	}{
		{nil, "ERR tenant 7: max requests limit exceeded", fallback.Answered},
		{nil, "ERR max requests limit exceeded for tenant 7", fallback.Answered},
		{nil, "TENANT max requests limit exceeded", fallback.Answered},
		{nil, "ERR max requests limit exceededly", fallback.Answered},
		{nil, "ERR This database has been suspendedly", fallback.Answered},
		{eval, "ERR max requests limit exceeded", fallback.Answered},
		{eval, "max daily request limit exceeded.", fallback.Answered},
		{eval, "ERR max requests limit exceeded. Limit: 500000, Usage: 500006.", fallback.Limit},
		{nil, "ERR max requests limit exceeded", fallback.Limit},
	} {
		if got := fallback.Detect(c.cmd, reply(c.text)); got != c.want {
			t.Errorf("%q is %v, want %v", c.text, got, c.want)
		}
	}
}

func TestUsersDetectorIsAskedFirst(t *testing.T) {
	t.Parallel()
	p := newPair(t, fallback.WithDetector(func(_ redis.Cmder, err error) fallback.Verdict {
		if strings.HasPrefix(err.Error(), "ERR plan expired") {
			return fallback.Limit
		}
		return fallback.Unknown
	}))
	p.primary.Refuse("ERR plan expired for customer 4711")
	if v, err := p.rdb.Incr(ctx, "n").Result(); v != 1 || err != nil {
		t.Fatalf("INCR: %d, %v", v, err)
	}
	p.serves(t, fallback.Local)
	if st := p.h.Status(); st.Cause != "ERR" || strings.Contains(p.log.String(), "4711") {
		t.Errorf("a text that is not known stands in the status or the log: %q\n%s", st.Cause, p.log)
	}
}

func TestRawCommandsAreRecognised(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.local.Data().Set("k", "local")
	p.primary.Exhaust()
	raw := redis.NewRawCmd(ctx, "get", "k")
	if err := p.rdb.Process(ctx, raw); err != nil || string(raw.Val()) != "$5\r\nlocal\r\n" {
		t.Errorf("a raw GET over quota: %q, %v; want local's reply", raw.Val(), err)
	}

	p = newPair(t)
	p.rdb.Ping(ctx)
	p.primary.Exhaust()
	var w strings.Builder
	if err := p.rdb.Process(ctx, redis.NewRawWriteToCmd(ctx, &w, "get", "k")); err != nil {
		t.Errorf("a raw GET into a writer: %v", err)
	}
	// The refusal is in the writer already and cannot be taken back; the next call knows.
	p.serves(t, fallback.Local)
	if n := p.primary.Refused(); n != 1 {
		t.Errorf("%d refusals, want 1", n)
	}
}

func TestStorageFull(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.rdb.Set(ctx, "k", 1, 0)
	p.primary.Fill()
	err := p.rdb.Set(ctx, "k", 2, 0).Err()
	var limit *fallback.LimitError
	if !errors.As(err, &limit) || limit.Kind != fallback.LimitStorage || limit.Limit != 268435456 || limit.Usage != 268447091 {
		t.Fatalf("SET with full storage: %#v", err)
	}
	p.serves(t, fallback.Primary)
	if v, err := p.rdb.Get(ctx, "k").Result(); v != "1" || err != nil {
		t.Errorf("GET: %q, %v", v, err)
	}
}

func TestStorageFullTripsWhenAsked(t *testing.T) {
	t.Parallel()
	p := newPair(t, fallback.WithTripOnStorage())
	p.rdb.Set(ctx, "old", 1, 0)
	p.rdb.Set(ctx, "old2", 1, 0)
	p.rdb.Set(ctx, "old3", 1, 0)
	p.primary.Fill()
	if err := p.rdb.Set(ctx, "k", 2, 0).Err(); err != nil {
		t.Fatal(err)
	}
	p.serves(t, fallback.Local)
	if err := p.rdb.Del(ctx, "old").Err(); err != nil || p.primary.Data().Exists("old") {
		t.Errorf("DEL: %v; old is still on the primary: %v", err, p.primary.Data().Exists("old"))
	}
	p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, "new", 1, 0)
		pipe.Unlink(ctx, "old2")
		return nil
	})
	p.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Del(ctx, "old3")
		return nil
	})
	if p.primary.Data().Exists("old2") || p.primary.Data().Exists("old3") || p.primary.Data().Exists("new") {
		t.Error("deletions of a pipeline and a transaction did not reach the primary, or more than deletions did")
	}
}

func FuzzDetect(f *testing.F) {
	raw, err := os.ReadFile("testdata/upstash-errors.json")
	if err != nil {
		f.Fatal(err)
	}
	var rows []struct{ Reply string }
	if err := json.Unmarshal(raw, &rows); err != nil {
		f.Fatal(err)
	}
	for _, r := range rows {
		f.Add(r.Reply)
	}
	f.Add("OOM ")
	f.Add("ERR max requests limit exceeded. Limit: 99999999999999999999, Usage: -1")
	f.Fuzz(func(t *testing.T, text string) {
		v := fallback.Detect(nil, reply(text))
		trimmed := strings.TrimPrefix(text, "ERR ")
		if v == fallback.Limit && !strings.HasPrefix(trimmed, "max ") && !strings.HasPrefix(trimmed, "This database") {
			t.Errorf("%q is taken for a limit", text)
		}
		if fallback.Detect(nil, reply("X"+text)) == fallback.Limit && v != fallback.Limit {
			t.Errorf("%q behind another word is taken for a limit", text)
		}
	})
}
