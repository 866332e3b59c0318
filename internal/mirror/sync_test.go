package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis/go-redis/v9"
)

func (r *copyRig) sync(o mirror.SyncOptions) mirror.SyncReport {
	r.t.Helper()
	report, err := r.copier.Sync(r.ctx, o)
	r.check(err)
	return report
}

func (r *copyRig) unsure(want ...string) {
	r.t.Helper()
	got, err := r.copier.Local.SMembers(r.ctx, r.target.UnsureKey()).Result()
	r.check(err)
	if len(got) != len(want) {
		r.t.Errorf("unsure of %q, want %q", got, want)
		return
	}
	for _, m := range want {
		if !r.copier.Local.SIsMember(r.ctx, r.target.UnsureKey(), m).Val() {
			r.t.Errorf("unsure of %q, want %q", got, want)
		}
	}
}

// databaseTwo returns a client of the second database of a server.
func databaseTwo(t *testing.T, rdb *redis.Client) *redis.Client {
	t.Helper()
	opts := *rdb.Options()
	opts.DB = 2
	c := redis.NewClient(&opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestSyncCopiesEverything(t *testing.T) {
	t.Parallel()
	for _, byType := range []bool{false, true} {
		t.Run(fmt.Sprint("by type ", byType), func(t *testing.T) {
			t.Parallel()
			r := newCopyRig(t)
			r.target.noDumps = byType
			r.fill(r.primary)
			r.fill(databaseTwo(t, r.primary))
			r.check(r.local.Set(r.ctx, "plain", "stale", 0).Err())
			r.check(r.local.Set(r.ctx, "stale", "v", 0).Err())
			r.check(r.local.Set(r.ctx, "expires", "v", 0).Err())
			report := r.sync(mirror.SyncOptions{})
			if n := r.primary.DBSize(r.ctx).Val(); !report.Complete || report.Copied != 2*n || report.Extra != 1 || report.Unsure != 0 || report.Keys != 2*n {
				t.Errorf("%d keys in each database: %+v", n, report)
			}
			r.same(0)
			r.same(2)
			again := r.sync(mirror.SyncOptions{})
			if again.Resumed || again.Copied != report.Copied {
				t.Errorf("the second time: %+v", again)
			}
		})
	}
}

func TestSyncOfNothing(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	if report := r.sync(mirror.SyncOptions{}); !report.Complete || report.Read != 0 {
		t.Errorf("%+v", report)
	}
	if _, err := r.copier.Verify(r.ctx, mirror.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}

func (r *copyRig) many(n int) {
	r.t.Helper()
	pipe := r.primary.Pipeline()
	for i := range n {
		pipe.Set(r.ctx, fmt.Sprint("k", i), i, 0)
	}
	_, err := pipe.Exec(r.ctx)
	r.check(err)
}

// A budget that ends in the middle, and then a context, leave a sync that is gone on with.
func TestSyncGoesOn(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.many(8000)
	report, err := r.copier.Sync(r.ctx, mirror.SyncOptions{Budget: 5000})
	if !errors.Is(err, mirror.ErrBudget) || report.Commands > 5000 || report.Copied == 0 || report.Complete {
		t.Fatalf("%v, %+v", err, report)
	}
	ctx, cancel := context.WithCancel(r.ctx)
	r.target.after = func(int) { cancel() }
	_, err = r.copier.Sync(ctx, mirror.SyncOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	r.target.after = nil
	before := report
	report = r.sync(mirror.SyncOptions{})
	if !report.Resumed || !report.Complete || report.Commands > 8000*2+2000 || report.Commands <= before.Commands {
		t.Errorf("%+v", report)
	}
	if r.target.tracked != 1 {
		t.Errorf("the names were begun to be kept %d times", r.target.tracked)
	}
	r.same(0)
}

func TestSyncThatIsBegunAnew(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.many(3000)
	if _, err := r.copier.Sync(r.ctx, mirror.SyncOptions{Budget: 3000}); !errors.Is(err, mirror.ErrBudget) {
		t.Fatal(err)
	}
	for name, o := range map[string]mirror.SyncOptions{"restart": {Restart: true}, "another match": {Match: "k1*"}} {
		_, err := r.copier.Sync(r.ctx, mirror.SyncOptions{Budget: 3000})
		if !errors.Is(err, mirror.ErrBudget) && err != nil {
			t.Fatal(err)
		}
		report := r.sync(o)
		if report.Resumed || report.Complete != (o.Match == "") {
			t.Errorf("%s: %+v", name, report)
		}
	}
}

// A quota that ends in the middle stops it, and nothing is lost.
func TestSyncMeetsALimit(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	primary := fallbacktest.Run(t)
	for i := range 4000 {
		r.check(primary.Data().Set(fmt.Sprint("k", i), "v"))
	}
	rdb := redis.NewClient(primary.Options())
	t.Cleanup(func() { _ = rdb.Close() })
	r.copier.Primary = rdb
	primary.Quota(9000)     // more than is read ahead
	r.target.noDumps = true // miniredis has its own
	report, err := r.copier.Sync(r.ctx, mirror.SyncOptions{})
	if !errors.Is(err, mirror.ErrRefused) || !strings.Contains(err.Error(), "limit exceeded") || report.Copied == 0 {
		t.Fatalf("%v, %+v", err, report)
	}
	primary.Renew()
	report = r.sync(mirror.SyncOptions{})
	if !report.Resumed || !report.Complete || r.local.DBSize(r.ctx).Val() != 4000 {
		t.Errorf("%+v", report)
	}
}

// What is left out is known to be: local is complete but for that.
func TestSyncLeavesOut(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.many(10)
	r.check(r.primary.Set(r.ctx, "large", strings.Repeat("x", 3<<20), 0).Err()) // does not compress to nothing by type
	r.check(r.primary.SetBit(r.ctx, "large", 1<<24, 1).Err())
	r.check(r.primary.Eval(r.ctx, `for i = 1, 200000 do redis.call('RPUSH', 'larger', 'e' .. i) end return 1`, nil).Err())
	r.target.what["k3"] = mirror.Refused
	r.target.what["k4"] = mirror.Newer
	report := r.sync(mirror.SyncOptions{MaxBytes: 1000})
	if !report.Complete || report.Large != 2 || report.Refused != 1 || report.Newer != 1 || report.Unsure != 4 {
		t.Errorf("%+v", report)
	}
	r.unsure("|large", "|larger", "|k3", "|k4")
	r.same(0, "large", "larger", "k3", "k4")
	delete(r.target.what, "k3")
	delete(r.target.what, "k4")
	if report = r.sync(mirror.SyncOptions{MaxBytes: -1}); report.Unsure != 0 || report.Large != 0 {
		t.Errorf("%+v", report)
	}
	r.unsure()
	r.same(0)
}

// A key that is written while it is read is read again at the end.
func TestSyncReadsAgainWhatWasWritten(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.many(10)
	r.target.what["k3"], r.target.what["k4"] = mirror.Newer, mirror.Newer
	r.check(r.local.Set(r.ctx, "k4", "from the mirror", 0).Err())
	r.target.after = func(loads int) {
		if loads == 2 {
			delete(r.target.what, "k3")
			r.check(r.primary.Set(r.ctx, "k3", "new", 0).Err())
		}
	}
	report := r.sync(mirror.SyncOptions{})
	if !report.Complete || report.Newer != 2 || report.Unsure != 0 {
		t.Errorf("%+v", report)
	}
	if v := r.local.Get(r.ctx, "k3").Val(); v != "new" {
		t.Errorf("k3 is %q", v)
	}
	if v := r.local.Get(r.ctx, "k4").Val(); v != "from the mirror" {
		t.Errorf("k4 is %q", v)
	}
}

func TestSyncThatIsFenced(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.many(10)
	r.target.what["k3"] = mirror.Fenced
	if report, err := r.copier.Sync(r.ctx, mirror.SyncOptions{}); !errors.Is(err, mirror.ErrFenced) || report.Complete {
		t.Errorf("%v, %+v", err, report)
	}
}

func TestSyncStopsAtTheMemory(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.many(10)
	r.check(r.local.ConfigSet(r.ctx, "maxmemory", "1mb").Err())
	if report, err := r.copier.Sync(r.ctx, mirror.SyncOptions{}); !errors.Is(err, mirror.ErrMemory) || report.Copied != 0 {
		t.Errorf("%v, %+v", err, report)
	}
}

func TestSyncOfAMissedMirror(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.many(10)
	r.target.missed = true
	if report := r.sync(mirror.SyncOptions{}); report.Complete || report.Copied != 10 {
		t.Errorf("%+v", report)
	}
}

func TestSyncOfAFilter(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.many(20)
	r.copier.Filter = func(key string) bool { return strings.HasPrefix(key, "k1") }
	r.check(r.local.Set(r.ctx, "other", "is none of its business", 0).Err())
	if report := r.sync(mirror.SyncOptions{}); report.Copied != 11 || report.Extra != 0 || report.Read != 20 {
		t.Errorf("%+v", report)
	}
}

// The cost is said before anything is read.
func TestSyncSaysItsCost(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.many(1000)
	var all []mirror.SyncProgress
	report := r.sync(mirror.SyncOptions{Progress: func(p mirror.SyncProgress) { all = append(all, p) }})
	if first := all[0]; first.Keys != 1000 || first.Read != 0 || first.Cost < 2000 || first.Cost > 2100 {
		t.Errorf("%+v", first)
	}
	if report.Commands > all[0].Cost+10 {
		t.Errorf("%d commands, said were %d", report.Commands, all[0].Cost)
	}
	if report.Cost != 0 || report.Left != 0 {
		t.Errorf("%+v", report)
	}
}
