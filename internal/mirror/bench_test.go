package mirror_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis/go-redis/v9"
)

// The caller's side, with nobody but itself to empty the queue, and the key's bucket claimed.
func BenchmarkCaller(b *testing.B) {
	for name, cmd := range map[string]redis.Cmder{"set": set("key", "value"), "incr": incr("key", 7), "hset": hset("key", "f", "v")} {
		b.Run(name, func(b *testing.B) {
			m := mirror.New(mirror.Config{Name: "test", Database: 15, Process: "p", Fence: func() string { return "" }})
			m.SetClock()
			args := cmd.Args()
			b.ReportAllocs()
			var c mirror.Cargo
			for i := 0; b.Loop(); i++ {
				m.Done(m.Begin(args, ""), "", cmd)
				if i%1000 == 0 {
					m.Discard(&c)
				}
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			m := mirror.New(mirror.Config{Name: "test", Database: 15, Process: "p", Fence: func() string { return "" }})
			m.SetClock()
			args := cmd.Args()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var c mirror.Cargo
				for i := 0; pb.Next(); i++ {
					m.Done(m.Begin(args, ""), "", cmd)
					if i%1000 == 0 {
						m.Discard(&c)
					}
				}
			})
		})
	}
}

// A key whose bucket is not claimed yet: a write on a socket.
func BenchmarkClaim(b *testing.B) {
	r := newRig(b)
	m := r.mirror()
	var args [1 << 8][]any
	for i := range args {
		args[i] = []any{"set", "key" + strconv.Itoa(i), "v"}
	}
	b.ReportAllocs()
	i := 0
	before := m.Stats().Claimed
	for b.Loop() {
		m.Nothing(m.Begin(args[i&(len(args)-1)], ""))
		if i++; i&(len(args)-1) == 0 {
			b.StopTimer()
			m.Unclaim()
			r.check(r.ours.Ping(r.ctx).Err())
			b.StartTimer()
		}
	}
	b.ReportMetric(float64(m.Stats().Claimed-before)/float64(i), "claims/op")
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What one write costs from its Begin until local has it, keys being taken from many, at full speed.
func BenchmarkDelivery(b *testing.B) {
	for _, keys := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("%d keys", keys), func(b *testing.B) {
			r := newRig(b)
			m := r.mirror(func(c *mirror.Config) { c.Timing = mirror.Timing{} })
			cmds := make([]redis.Cmder, keys)
			for i := range cmds {
				cmds[i] = set(fmt.Sprintf("key:%07d", i), "a value of some thirty characters")
			}
			before, theirs := cpu(), r.cpu()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				cmd := cmds[i%keys]
				m.Done(m.Begin(cmd.Args(), ""), "", cmd)
				if i++; i%5000 == 0 {
					r.flush(m)
				}
			}
			r.flush(m)
			b.ReportMetric(float64(cpu()-before)/float64(i), "cpu-ns/op")
			b.ReportMetric(float64(r.cpu()-theirs)/float64(i), "local-cpu-ns/op")
			s := m.Stats()
			b.ReportMetric(float64(s.Deleted)/float64(i), "deleted/op")
		})
	}
}

// cpu is what local has used.
func (r *rig) cpu() time.Duration {
	var user, sys float64
	for line := range strings.SplitSeq(r.ours.Info(r.ctx, "cpu").Val(), "\r\n") {
		_, _ = fmt.Sscanf(line, "used_cpu_user:%f", &user)
		_, _ = fmt.Sscanf(line, "used_cpu_sys:%f", &sys)
	}
	return time.Duration((user + sys) * 1e9)
}

// The lag at a steady rate.
func BenchmarkLag(b *testing.B) {
	for _, rate := range []int{5_000, 20_000} {
		b.Run(fmt.Sprintf("%d a second", rate), func(b *testing.B) {
			r := newRig(b)
			m := r.mirror(func(c *mirror.Config) { c.Timing = mirror.Timing{} })
			var lags []time.Duration
			var n atomic.Int64
			before, theirs := cpu(), r.cpu()
			began := time.Now()
			for b.Loop() {
				for due := int64(float64(rate) * time.Since(began).Seconds()); n.Load() < due; n.Add(1) {
					cmd := set(fmt.Sprintf("key:%d", n.Load()%20_000), "a value of some thirty characters")
					m.Done(m.Begin(cmd.Args(), ""), "", cmd)
				}
				lags = append(lags, m.Stats().Lag)
				time.Sleep(200 * time.Microsecond)
			}
			slices.Sort(lags)
			b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(lags[len(lags)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(cpu()-before)/float64(n.Load()), "cpu-ns/write")
			b.ReportMetric(float64(r.cpu()-theirs)/float64(n.Load()), "local-cpu-ns/write")
		})
	}
}
