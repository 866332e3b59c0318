package mirror_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

const childEnv = "FALLBACK_MIRROR_CHILD"

// TestChild is the process that is killed.
func TestChild(t *testing.T) { //nolint:paralleltest
	if os.Getenv(childEnv) == "" {
		t.Skip("for TestAProcessThatIsKilledLeavesNothingStale")
	}
	w := strings.Fields(os.Getenv(childEnv))
	mirror.Mutate.NoClaims = len(w) > 2
	rdb := redis.NewClient(options(w[0], 0))
	m := mirror.New(mirror.Config{
		RDB: redis.NewClient(options(w[1], 15)), Name: "test", Database: 15, Process: "child",
		Fence: func() string { return "id 1 primary" },
		// What it has not delivered is what this is about.
		Timing: mirror.Timing{Gather: 30 * time.Millisecond, Beat: 50 * time.Millisecond, Rotate: 100 * time.Millisecond},
	})
	m.Start()
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	fmt.Println("writing")
	for g := range 8 {
		go func() {
			rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(g))) //nolint:gosec // a test
			for {
				writer{rdb, m}.do(context.Background(), small(rng)...)
			}
		}()
	}
	select {}
}

func small(rng *rand.Rand) []any {
	n, v := rng.IntN(3000), rng.IntN(1000)
	switch rng.IntN(5) {
	case 0:
		return []any{"incr", fmt.Sprintf("n%d", n)}
	case 1:
		return []any{"hset", fmt.Sprintf("h%d", n), v % 3, v}
	case 2:
		return []any{"rpush", fmt.Sprintf("l%d", n), v}
	case 3:
		return []any{"del", fmt.Sprintf("%c%d", "nshl"[v%4], n)}
	}
	return []any{"set", fmt.Sprintf("s%d", n), v}
}

// kill has a child write, kills it after a while, and returns the stale keys that are there when it has
// been buried.
func (r *rig) kill(m *mirror.Mirror, primary *redistest.Server, after time.Duration, more string) (stale []string, held int) {
	r.tb.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$") //nolint:gosec,noctx // itself
	cmd.Env = append(os.Environ(), childEnv+"="+primary.Addr()+" "+r.local.Addr()+more)
	out, err := cmd.StdoutPipe()
	r.check(err)
	r.check(cmd.Start())
	buried := m.Stats().Buried
	_, err = out.Read(make([]byte, 7))
	r.check(err)
	time.Sleep(after) // the moment is what is random
	r.check(cmd.Process.Kill())
	_ = cmd.Wait()
	r.until("the child is buried", func() bool { return m.Stats().Buried > buried })
	r.flush(m)
	want, err := everything(r.ctx, client(r.tb, primary, 0))
	r.check(err)
	got, err := everything(r.ctx, r.home)
	r.check(err)
	for key, v := range got {
		if want[key] != v {
			stale = append(stale, fmt.Sprintf("%s is %s, and on the primary %s", key, v, want[key]))
		}
	}
	return stale, len(got)
}

func TestAProcessThatIsKilledLeavesNothingStale(t *testing.T) {
	t.Parallel()
	r, primary := newRig(t), redistest.Start(t)
	m := r.mirror()
	times, held := 30, 0
	if testing.Short() {
		times = 5
	}
	w := writer{client(t, primary, 0), m}
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	for i := range times {
		for range 1000 {
			w.do(r.ctx, small(rng)...)
		}
		stale, n := r.kill(m, primary, time.Duration(rng.IntN(150))*time.Millisecond, "")
		held += n
		for _, s := range stale {
			t.Errorf("kill %d: %s", i, s)
		}
	}
	s := m.Stats()
	t.Logf("%d keys on local after a kill, %+v", held/times, s)
	// A machine that cannot keep up with the claims claims everything.
	if s.Emptied > int64(times/2) {
		t.Errorf("local was emptied %d times: the claims have not been needed", s.Emptied)
	}
	if held == 0 {
		t.Error("nothing was left on local")
	}
}

func TestWithoutClaimsAKilledProcessLeavesStaleKeys(t *testing.T) {
	t.Parallel()
	r, primary := newRig(t), redistest.Start(t)
	m := r.mirror()
	for range 20 {
		if stale, _ := r.kill(m, primary, 100*time.Millisecond, " noclaims"); len(stale) > 0 {
			t.Log(len(stale), "stale keys, among them:", stale[0])
			return
		}
	}
	t.Error("no key was stale: the test sees nothing")
}
