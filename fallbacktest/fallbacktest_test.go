package fallbacktest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

func client(t *testing.T, s *fallbacktest.Server) *redis.Client {
	t.Helper()
	o := s.Options()
	o.MaxRetries = -1
	rdb := redis.NewClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func wantText(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || err.Error() != text {
		t.Errorf("error %v, want %q", err, text)
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fallbacktest.Run(t)
	rdb := client(t, s)
	s.Quota(2)
	for i := range 2 {
		if err := rdb.Set(ctx, "k", i, 0).Err(); err != nil {
			t.Fatalf("command %d within the quota: %v", i+1, err)
		}
	}
	wantText(t, rdb.Get(ctx, "k").Err(), fallbacktest.ReplyRequests)
	if err := rdb.Ping(ctx).Err(); err != nil {
		t.Errorf("PING over quota: %v, want an answer", err)
	}
	s.RefusePing(true)
	wantText(t, rdb.Ping(ctx).Err(), fallbacktest.ReplyRequests)
	s.Renew()
	if v := rdb.Get(ctx, "k").Val(); v != "1" {
		t.Errorf("after Renew k is %q, want 1", v)
	}
	if s.Count("set") != 2 || s.Count("GET") != 1 || s.Commands() != 3 || s.Refused() != 2 {
		t.Errorf("counts set %d get %d all %d refused %d, want 2 1 3 2", s.Count("set"), s.Count("GET"), s.Commands(), s.Refused())
	}
}

func TestStorageFull(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fallbacktest.Run(t)
	rdb := client(t, s)
	rdb.Set(ctx, "k", 1, 0)
	s.Fill()
	wantText(t, rdb.Set(ctx, "k", 2, 0).Err(), fallbacktest.ReplyStorage)
	if v, err := rdb.Get(ctx, "k").Result(); v != "1" || err != nil {
		t.Errorf("GET with full storage: %q, %v", v, err)
	}
	if err := rdb.Del(ctx, "k").Err(); err != nil {
		t.Errorf("DEL with full storage: %v", err)
	}
}

func TestEveryThirdAndSuspendAndHandshake(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fallbacktest.Run(t, fallbacktest.WithPassword("secret"))
	rdb := client(t, s)
	s.Exhaust()
	s.Every(3)
	refused := 0
	for range 9 {
		if rdb.Incr(ctx, "n").Err() != nil {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("%d of 9 refused, want every third", refused)
	}
	s.Renew()
	s.Suspend()
	wantText(t, rdb.Get(ctx, "k").Err(), fallbacktest.ReplyBudget)
	s.RefuseHandshake(true)
	fresh := client(t, s)
	wantText(t, fresh.Get(ctx, "k").Err(), fallbacktest.ReplyBudget)
	if strings.Contains(s.String(), "secret") {
		t.Error("the password is in String")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]fallbacktest.Option{nil, {fallbacktest.WithTLS(), fallbacktest.WithPassword("pw")}} {
		ctx := context.Background()
		s := fallbacktest.Run(t, opts...)
		rdb := client(t, s)
		s.LoseReply("INCR", 1)
		if err := rdb.Incr(ctx, "n").Err(); !errors.Is(err, io.EOF) {
			t.Errorf("a lost reply: %v, want EOF", err)
		}
		s.HalfReply("INCR", 1)
		if err := rdb.Incr(ctx, "n").Err(); err == nil {
			t.Error("half a reply is no error")
		}
		if n := rdb.Incr(ctx, "n").Val(); n != 3 {
			t.Errorf("counter %d after two lost replies and one call, want 3", n)
		}
		s.Hang()
		o := s.Options()
		o.ReadTimeout, o.DialTimeout, o.MaxRetries = 50*time.Millisecond, 50*time.Millisecond, -1
		slow := redis.NewClient(o)
		if err := slow.Get(ctx, "n").Err(); err == nil {
			t.Error("a hung server answered")
		}
		_ = slow.Close()
		s.Resume()
		if v := rdb.Get(ctx, "n").Val(); v != "3" {
			t.Errorf("after Resume n is %q", v)
		}
		s.CloseIdle(20 * time.Millisecond)
		for deadline := time.Now().Add(5 * time.Second); s.Connections() > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d connections are open after they were idle", s.Connections())
			}
		}
		s.CloseIdle(0)
		s.Stop()
		if err := rdb.Get(ctx, "n").Err(); err == nil {
			t.Error("a stopped server answered")
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		if v := rdb.Get(ctx, "n").Val(); v != "3" {
			t.Errorf("after Restart n is %q", v)
		}
	}
}

func TestTransactionFrames(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := fallbacktest.Run(t)
	rdb := client(t, s)
	s.RefuseOnly("MULTI", fallbacktest.ReplyRequests)
	_, _ = rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "a")
		return nil
	})
	s.RefuseOnly("multi", "")
	// The client does not wait for the commands behind the one that was refused.
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		v, _ := s.Data().Get("a")
		if v == "1" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a refused MULTI left a = %q; the commands behind it run on their own", v)
		}
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	s := fallbacktest.Run(t, fallbacktest.WithTLS(), fallbacktest.WithPassword("p@ss/word"))
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(o)
	defer rdb.Close()
	if err := rdb.Ping(context.Background()).Err(); err != nil {
		t.Errorf("a client of URL: %v", err)
	}
}
