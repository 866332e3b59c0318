package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// pair sets the environment to a primary with so many keys and an empty local, both real servers.
func pair(t *testing.T, keys int) (primary, local *redis.Client) {
	t.Helper()
	p, l := redistest.Start(t, "--requirepass", password), redistest.Start(t)
	t.Setenv("REDIS_URL", "redis://:"+password+"@"+p.Addr())
	t.Setenv("REDIS_FALLBACK_URL", "redis://"+l.Addr())
	opts := p.Options()
	opts.Password = password
	primary = redis.NewClient(opts)
	t.Cleanup(func() { _ = primary.Close() })
	fill(t, primary, keys)
	return primary, l.Client(t)
}

func fill(t *testing.T, rdb *redis.Client, keys int) {
	t.Helper()
	pipe := rdb.Pipeline()
	for i := range keys {
		pipe.HSet(context.Background(), fmt.Sprint("session:", i), "user", i, "secret", password)
		pipe.Expire(context.Background(), fmt.Sprint("session:", i), time.Hour)
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestSyncAndVerify(t *testing.T) {
	primary, local := pair(t, 3000)
	ctx := context.Background()
	says(t, 0, []string{"sync", "--dry-run"}, "the primary holds 3000 keys", "about 6033 commands")
	if n := local.DBSize(ctx).Val(); n != 0 {
		t.Errorf("the dry run copied %d keys", n)
	}
	says(t, 1, []string{"verify"}, "missing  session:7\n", "3000 missing on local", "3000 differences are left")
	says(t, 1, []string{"sync", "--budget", "3000"}, "spent its budget", "goes on from here")
	says(t, 0, []string{"sync", "--dry-run"}, "going on with a sync that was interrupted after 1")
	says(t, 0, []string{"sync"}, "going on with", "copied 3000 keys of 3000", "local is complete\n")
	says(t, 0, []string{"verify"}, "3000 the same, 0 missing")
	if ttl := local.TTL(ctx, "session:9").Val(); ttl < 59*time.Minute || ttl > time.Hour {
		t.Errorf("it expires in %v", ttl)
	}
	primary.HSet(ctx, "session:1", "user", "other")
	primary.Del(ctx, "session:2")
	primary.Set(ctx, "new\x1b[2J", "v", 0)
	out := says(t, 1, []string{"verify"}, "value    session:1\n", "extra    session:2\n", "missing  new?[2J\n", "3 differences are left")
	if strings.Contains(out, "\x1b") {
		t.Error("a key moves the terminal's cursor")
	}
	var r verifyReport
	code, text, _ := output(t, ctx, "verify", "--json", "--repair")
	if err := json.Unmarshal([]byte(text), &r); err != nil || code != 0 || len(r.Differences) != 3 || r.Repaired != 3 {
		t.Errorf("%d, %v, %s", code, err, text)
	}
	says(t, 0, []string{"verify", "--sample", "100"}, " 0 missing")
	var s syncReport
	code, text, _ = output(t, ctx, "sync", "--json", "--restart")
	if err := json.Unmarshal([]byte(text), &s); err != nil || code != 0 || !s.Complete || s.Copied != 3000 || s.Resumed {
		t.Errorf("%d, %v, %s", code, err, text)
	}
}

// A quota that ends in the middle stops it, and so does a signal.
func TestSyncThatIsInterrupted(t *testing.T) {
	_, local := pair(t, 0)
	primary := fallbacktest.Run(t, fallbacktest.WithPassword(password))
	t.Setenv("REDIS_URL", primary.URL())
	for i := range 3000 {
		if err := primary.Data().Set(fmt.Sprint("k", i), password); err != nil {
			t.Fatal(err)
		}
	}
	primary.Quota(4000)
	says(t, 1, []string{"sync"}, "max requests limit exceeded", "goes on from here")
	primary.Renew()
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_, out, _ := output(t, ctx, "sync", "--rate", "500")
	if !strings.Contains(out, "going on with") || !strings.Contains(out, "goes on from here") {
		t.Error(out)
	}
	says(t, 0, []string{"sync"}, "going on with", "local is complete")
	if n := local.DBSize(context.Background()).Val(); n != 3000 {
		t.Errorf("%d keys on local", n)
	}
}

func TestSyncWhileLocalServes(t *testing.T) {
	outOfQuota(t, 1)
	says(t, 1, []string{"sync"}, "refuses")
	says(t, 1, []string{"verify", "nosuch"}, "usage: redis-fallback verify")
	says(t, 1, []string{"sync", "nosuch"}, "usage: redis-fallback sync")
}
