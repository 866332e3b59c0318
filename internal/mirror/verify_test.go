package mirror_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
)

func (r *copyRig) verify(o mirror.VerifyOptions) (mirror.VerifyReport, map[string]mirror.Difference) {
	r.t.Helper()
	all := map[string]mirror.Difference{}
	o.Each = func(d mirror.Difference) { all[d.DB+"|"+d.Key] = d }
	report, err := r.copier.Verify(r.ctx, o)
	r.check(err)
	return report, all
}

func TestVerify(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.fill(r.primary)
	r.fill(databaseTwo(t, r.primary))
	r.sync(mirror.SyncOptions{})
	report, all := r.verify(mirror.VerifyOptions{})
	if report.Left() != 0 || report.Same != report.Keys || report.Compared != report.Keys || len(all) != 0 {
		t.Errorf("after a sync: %+v, %v", report, all)
	}
	two := databaseTwo(t, r.local)
	r.check(r.local.Set(r.ctx, "plain", "other", 0).Err())
	r.check(r.local.HSet(r.ctx, "hash", "f7", "other").Err())
	r.check(r.local.Persist(r.ctx, "expires").Err())
	r.check(r.local.PExpire(r.ctx, "small hash", 23*time.Hour).Err())
	r.check(r.local.Del(r.ctx, "list").Err())
	r.check(r.local.Set(r.ctx, "only here", "v", 0).Err())
	r.check(two.XAck(r.ctx, "stream", "g", "13-1").Err())
	r.check(two.Del(r.ctx, "zset").Err())
	r.check(two.Set(r.ctx, "zset", "no zset", 0).Err())
	want := map[string]mirror.DifferenceKind{
		"|plain": mirror.OtherValue, "|hash": mirror.OtherValue, "|expires": mirror.OtherDeadline, "|small hash": mirror.OtherDeadline,
		"|list": mirror.Missing, "|only here": mirror.Extra, "2|stream": mirror.OtherValue, "2|zset": mirror.OtherType,
	}
	check := func(repaired bool) {
		t.Helper()
		report, all := r.verify(mirror.VerifyOptions{Repair: repaired})
		if report.Missing != 1 || report.Extra != 1 || report.Different != 6 || len(all) != len(want) {
			t.Errorf("%+v", report)
		}
		for name, kind := range want {
			if d := all[name]; d.Kind != kind || d.Repaired != repaired {
				t.Errorf("%s: %+v, want %s", name, d, kind)
			}
		}
	}
	check(false)
	check(true)
	if report, all := r.verify(mirror.VerifyOptions{}); report.Left() != 0 {
		t.Errorf("after the repair: %+v, %v", report, all)
	}
	r.same(0)
	r.same(2)
}

// The same value is the same, however each server has it in memory.
func TestVerifyOfOtherEncodings(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	for _, setting := range []string{"hash-max-listpack-entries", "zset-max-listpack-entries", "set-max-intset-entries", "list-max-listpack-size"} {
		r.check(r.local.ConfigSet(r.ctx, setting, "1").Err())
	}
	r.fill(r.primary)
	r.target.noDumps = true
	r.sync(mirror.SyncOptions{})
	for i := range 5 {
		r.check(r.primary.HSet(r.ctx, "order", fmt.Sprint(i), i).Err())
		r.check(r.local.HSet(r.ctx, "order", fmt.Sprint(4-i), 4-i).Err())
	}
	if report, all := r.verify(mirror.VerifyOptions{}); report.Left() != 0 || report.Same != report.Keys {
		t.Errorf("%+v, %v", report, all)
	}
}

// Who counts a HyperLogLog changes its bytes, and not its value.
func TestVerifyOfCountedHyperLogLogs(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.check(r.primary.PFAdd(r.ctx, "hll", "a", "b").Err())
	r.sync(mirror.SyncOptions{})
	r.check(r.primary.PFCount(r.ctx, "hll").Err())
	if r.primary.Get(r.ctx, "hll").Val() == r.local.Get(r.ctx, "hll").Val() {
		t.Fatal("it is the same still")
	}
	if report, all := r.verify(mirror.VerifyOptions{}); report.Left() != 0 {
		t.Errorf("%+v, %v", report, all)
	}
	r.check(r.primary.PFAdd(r.ctx, "hll", "c", "d").Err())
	if report, _ := r.verify(mirror.VerifyOptions{}); report.Left() != 1 {
		t.Errorf("%+v", report)
	}
}

func TestVerifyASample(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.many(2000)
	for i := range 10 {
		r.check(r.local.Set(r.ctx, fmt.Sprint("only", i), "v", 0).Err())
	}
	report, all := r.verify(mirror.VerifyOptions{Sample: 50})
	if report.Compared == 0 || report.Compared > 50 || report.Missing != report.Compared || report.Extra == 0 || report.Commands > 1200 {
		t.Errorf("%+v, %v", report, all)
	}
}

func TestVerifyOfABudget(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.many(2000)
	report, err := r.copier.Verify(r.ctx, mirror.VerifyOptions{Budget: 1500})
	if !errors.Is(err, mirror.ErrBudget) || report.Commands > 1500 {
		t.Errorf("%v, %+v", err, report)
	}
}

// Of a key that is always being written nothing is said.
func TestVerifyOfABusyKey(t *testing.T) {
	t.Parallel()
	r := newCopyRig(t)
	r.check(r.primary.Set(r.ctx, "busy", 1, 0).Err())
	r.sync(mirror.SyncOptions{})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				r.primary.Incr(r.ctx, "busy")
			}
		}
	})
	report, all := r.verify(mirror.VerifyOptions{})
	close(stop)
	wg.Wait()
	if report.Busy != 1 || report.Left() != 0 {
		t.Errorf("%+v, %v", report, all)
	}
}
