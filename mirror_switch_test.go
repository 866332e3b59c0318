package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// slowConn is a connection to a server that is some way off.
type slowConn struct{ net.Conn }

func (c slowConn) Write(p []byte) (int, error) {
	time.Sleep(4 * time.Millisecond)
	return c.Conn.Write(p)
}

// The very first write of a program whose local answers is mirrored, and not just known to be unsure.
func TestTheFirstWriteIsMirrored(t *testing.T) {
	t.Parallel()
	const tries = 5 // on a machine that is busy the first look may end without local's answer
	for i := range tries {
		primary, local := redistest.Start(t), redistest.Start(t)
		o := local.Options()
		o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return slowConn{c}, err
		}
		rdb, back := primary.Client(t), redis.NewClient(o)
		h := fallback.New(back, fallback.WithMirror(fallback.MirrorConfig{Hydration: -1}))
		rdb.AddHook(h)
		t.Cleanup(func() {
			_ = h.Shutdown(ctx)
			_ = back.Close()
		})
		if err := rdb.Set(ctx, "first", "1", 0).Err(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the mirror has it", func() bool { return h.Status().Mirror.Mirrored > 0 })
		st := h.Status().Mirror
		if local.Get(t, "first") == "1" && st.Unsure == 0 {
			return
		}
		t.Logf("try %d: %+v", i, st)
	}
	t.Error("never")
}

// Local comes when the program has run for a while.
func TestTheMirrorBeginsWhenLocalComes(t *testing.T) {
	t.Parallel()
	primary, local := redistest.Start(t), redistest.Start(t)
	local.Kill()
	p := newProcess(t, primary, local, withMirror(), fallback.WithLocalCheck(50*time.Millisecond))
	for i := range 10 {
		if err := p.rdb.Set(ctx, "early", i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if st := p.h.Status().Mirror; st.Mirrored != 0 {
		t.Errorf("%+v", st)
	}
	local.Restart(t)
	mirrorsNow(t, p.rdb, local)
	if v := local.Get(t, "early"); v != "" && v != "9" {
		t.Errorf("local holds %q", v)
	}
	if log := p.log.String(); strings.Contains(log, "emptied") {
		t.Error(log)
	}
}

// A trip first lets local have what the primary acknowledged; after the return both are equal.
func TestTripsAndReturnsOfTheMirror(t *testing.T) {
	t.Parallel()
	s := newRealServers(t, withMirror(), quick())
	mirrorsNow(t, s.rdb, s.local)
	known := 0
	const rounds = 5
	for i := range rounds {
		key := fmt.Sprint("k", i)
		s.rdb.Set(ctx, key, "v", 0)
		s.rdb.Incr(ctx, "n")
		s.meter.exhaust("")
		v, err := s.rdb.Get(ctx, key).Result()
		switch {
		case err == nil && v == "v":
			known++
		case !errors.Is(err, redis.Nil): // there was no time to flush
			t.Errorf("%q, %v", v, err)
		}
		if s.h.Serving() != fallback.Local {
			t.Fatal("no trip")
		}
		s.rdb.Set(ctx, "by local", i, 0)
		s.rdb.HSet(ctx, "part", i, "v")
		s.meter.renew()
		eventually(t, "the return", func() bool { return s.h.Serving() == fallback.Primary })
		mirrorsNow(t, s.rdb, s.local)
	}
	if known == 0 {
		t.Error("no trip has waited for the mirror")
	}
	equalWhereHeld(t, s.primary.Client(t), s.back, "mirrored", "by local")
	if n := s.h.Status().Mirror.Emptied; n != 0 {
		t.Errorf("local was emptied %d times", n)
	}
}

// equalWhereHeld waits until local holds nothing but what the primary holds, and these keys.
func equalWhereHeld(t *testing.T, primary, local *redis.Client, keys ...string) {
	t.Helper()
	var wrong []string
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		want, got := contents(t, primary, 0), contents(t, local, 0)
		wrong = nil
		for key, c := range got {
			if !slices.Equal(c.value, want[key].value) {
				wrong = append(wrong, fmt.Sprintf("%s is %v, and on the primary %v", key, c.value, want[key].value))
			}
		}
		for _, key := range keys {
			if _, ok := got[key]; !ok {
				wrong = append(wrong, key+" is not there")
			}
		}
		if len(wrong) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal(wrong)
		}
	}
}

func TestShutdownDeliversWhatWasWritten(t *testing.T) {
	t.Parallel()
	s := newRealServers(t, withMirror())
	mirrorsNow(t, s.rdb, s.local)
	for i := range 100 {
		s.rdb.Set(ctx, fmt.Sprint("k", i), i, 0)
	}
	if err := s.h.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if v := s.local.Get(t, fmt.Sprint("k", i)); v != fmt.Sprint(i) {
			t.Fatalf("k%d is %q", i, v)
		}
	}
}

// A key that is read, and that local does not hold, is read to local.
func TestWhatIsInUseIsHydrated(t *testing.T) {
	t.Parallel()
	s := newRealServers(t, fallback.WithMirror(fallback.MirrorConfig{Hydration: 1}))
	p := s.primary.Client(t)
	for _, line := range [][]any{{"set", "s", "v", "ex", 1000}, {"hset", "h", "f", "v"}, {"xadd", "x", "*", "f", "v"}} {
		if err := p.Do(ctx, line...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	mirrorsNow(t, s.rdb, s.local)
	eventually(t, "hydration", func() bool {
		s.rdb.Get(ctx, "s")
		s.rdb.HGetAll(ctx, "h")
		s.rdb.XLen(ctx, "x")
		return s.back.Exists(ctx, "s", "h", "x").Val() == 3
	})
	warm(t, p, s.back, 0)
	if st := s.h.Status().Mirror; st.Hydrated < 3 || st.HydrationCost < 6 {
		t.Errorf("%+v", st)
	}
}

const mirrorChild = "FALLBACK_MIRROR_TEST"

// TestMirrorChild is a program that is killed.
func TestMirrorChild(t *testing.T) { //nolint:paralleltest // it is a process of its own
	if os.Getenv(mirrorChild) == "" {
		t.Skip("for TestAProgramThatIsKilled")
	}
	addr := strings.Fields(os.Getenv(mirrorChild))
	rdb := redis.NewClient(&redis.Options{Addr: addr[0]})
	rdb.AddHook(fallback.New(redis.NewClient(&redis.Options{Addr: addr[1]})))
	for i := 0; ; i++ {
		key := fmt.Sprint("k", i%100)
		if err := errors.Join(rdb.Set(ctx, key, i, 0).Err(), rdb.RPush(ctx, "l"+key, i).Err()); err != nil {
			t.Fatal(err)
		}
		if i == 500 {
			fmt.Println("writing")
		}
	}
}

// What a program that is killed has not mirrored is absent on local, once another has found out.
func TestAProgramThatIsKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes a quarter of a minute until a process counts as dead")
	}
	s := newRealServers(t, withMirror())
	mirrorsNow(t, s.rdb, s.local)
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestMirrorChild$") //nolint:gosec // itself
	child.Env = append(os.Environ(), mirrorChild+"="+s.primary.Addr()+" "+s.local.Addr())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 7)); err != nil {
		t.Error(err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	s.rdb.Set(ctx, "mine", 1, 0)
	eventually(t, "it is found dead", func() bool { return s.h.Status().Mirror.Cleaned == 1 })
	equalWhereHeld(t, s.primary.Client(t), s.back, "mine")
}

// With the mirror a read allocates nothing more, and a write at most twice.
func TestAllocationsOfTheMirror(t *testing.T) { //nolint:paralleltest // it counts those of the process
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	local := redistest.Start(t)
	_, without := stubTo(t, local.Addr(), fallback.WithMirror(fallback.MirrorConfig{Bytes: -1}))
	_, with := stubTo(t, local.Addr())
	incr := redis.NewIntCmd(ctx, "incr", "n")
	set := redis.NewStatusCmd(ctx, "set", "k", "v")
	get := redis.NewStringCmd(ctx, "get", "k")
	many := func(hook redis.ProcessHook, cmd redis.Cmder) float64 {
		do := func() {
			if err := hook(context.Background(), cmd); err != nil {
				t.Error(err)
			}
		}
		for range 1000 { // what is made once
			do()
		}
		return testing.AllocsPerRun(20_000, do)
	}
	for _, c := range []struct {
		cmd  redis.Cmder
		more float64
	}{{get, 0}, {set, 2}, {incr, 2}} {
		if a, b := many(without, c.cmd), many(with, c.cmd); b > a+c.more {
			t.Errorf("%s allocates %v times, and %v without the mirror", c.cmd.Name(), b, a)
		}
	}
	redisHas := local.Get(t, "k")
	for end := time.Now().Add(20 * time.Second); redisHas == "" && time.Now().Before(end); redisHas = local.Get(t, "k") {
		_ = with(ctx, set)
	}
	if redisHas != "v" {
		t.Error("nothing was mirrored: this shows nothing")
	}
}
