package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/crash/history"
	"github.com/redis-fallback/fallback/internal/redistest"
)

var (
	spanFlag = flag.Duration("crash.span", 12*time.Second, "how long things happen in each run of TestShort")
	runsFlag = flag.Int("crash.runs", 3, "runs of TestShort")
	seedFlag = flag.Uint64("crash.seed", 0, "of the first; 0 is another one each time")
)

// TestMain makes the test program a worker where it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == workerCommand {
		if err := work(os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// needRedis skips, or fails in CI, where there is no server.
func needRedis(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("redis-server is not installed, and CI must have one")
	}
	t.Skip("redis-server is not installed: this test needs a real one")
}

// runs does runs, and returns what was printed.
func runs(t *testing.T, s settings, seed uint64, n int) (sum *total, text string) {
	t.Helper()
	var out bytes.Buffer
	sum = newTotal(&out)
	for i := range uint64(n) {
		sum.add(s.once(t.Context(), seed+i, t.TempDir()), true)
	}
	sum.print()
	return sum, out.String()
}

// TestShort is the short version of the long run: go run ./internal/crash -runs 100.
func TestShort(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	needRedis(t)
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	s := settings{span: *spanFlag, settle: time.Minute, processes: 4, callers: 4, pause: 60 * time.Millisecond}
	sum, text := runs(t, s, seed, *runsFlag)
	if sum.bad > 0 {
		t.Errorf("%d of %d runs are bad\n%s", sum.bad, sum.runs, text)
	}
	t.Log(text)
}

func TestACalmRun(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	needRedis(t)
	s := settings{span: 2 * time.Second, settle: time.Minute, processes: 2, callers: 2, pause: 10 * time.Millisecond, calm: true}
	sum, text := runs(t, s, 1, 1)
	if sum.bad > 0 || sum.sum.Acked == 0 || sum.sum.Unsure > 0 {
		t.Error(text)
	}
}

// Without local nothing is replayed: what is found then is a mistake of the harness, or of the checker.
func TestWithoutLocal(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	needRedis(t)
	s := settings{span: 5 * time.Second, settle: time.Minute, processes: 4, callers: 4, pause: 40 * time.Millisecond, alone: true}
	sum, text := runs(t, s, 1, 1)
	if sum.bad > 0 || sum.sum.Acked == 0 || sum.sum.Unsure == 0 {
		t.Error(text)
	}
}

func TestAScheduleIsThatOfItsSeed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		a, b := schedule(seed, 20*time.Second, 4, nil), schedule(seed, 20*time.Second, 4, nil)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d gives two schedules:\n%v\n%v", seed, a, b)
		}
		if len(a) < 10 {
			t.Errorf("seed %d: %d faults only", seed, len(a))
		}
		for _, e := range a {
			if e.at+e.last > 20*time.Second {
				t.Errorf("seed %d: %v at %v", seed, e, e.at)
			}
		}
	}
	if reflect.DeepEqual(schedule(1, 20*time.Second, 4, nil), schedule(2, 20*time.Second, 4, nil)) {
		t.Error("two seeds give one schedule")
	}
}

func TestFaultsAreNamed(t *testing.T) {
	t.Parallel()
	only, err := parseFaults("quota, stop a process")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range schedule(1, 20*time.Second, 4, only) {
		if e.fault != quotaAll && e.fault != stopWorker {
			t.Errorf("%v was not asked for", e)
		}
	}
	if _, err := parseFaults("quota,locusts"); err == nil {
		t.Error("locusts are a fault")
	}
}

// startWorker starts one between two servers.
func startWorker(t *testing.T) *process {
	t.Helper()
	primary, local := redistest.Start(t), redistest.Start(t)
	primary.Client(t).Set(t.Context(), history.ServerKey, "primary", 0)
	p, err := spawn(&worker{
		id: 1, primary: primary.Addr(), local: local.Addr(), log: filepath.Join(t.TempDir(), "log"), callers: 2, pause: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// acked waits until a worker has been acknowledged n writes.
func acked(t *testing.T, p *process, n int) {
	t.Helper()
	for {
		ops, err := history.Read(p.w.log)
		if err == nil && count(ops, history.Acked) >= n {
			return
		}
		if err := p.died(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func count(ops []*history.Op, s history.State) int {
	n := 0
	for _, o := range ops {
		if o.State == s {
			n++
		}
	}
	return n
}

func TestAnAnswerThatComesLateIsOfItsQuestion(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	acked(t, p, 10)
	if n, err := p.drain(answerTime); n != 0 || err != nil {
		t.Errorf("a drain of nothing: %d, %v", n, err)
	}
	p.signal(syscall.SIGSTOP)
	if _, err := p.drain(time.Millisecond); err == nil {
		t.Error("it is stopped, and answers")
	}
	p.signal(syscall.SIGCONT)
	if st, err := p.status(answerTime); err != nil || !st.Enabled {
		t.Errorf("status: %+v, %v", st, err)
	}
}

func TestAWorkerEndsOnSIGTERM(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	acked(t, p, 100)
	if st, err := p.status(answerTime); err != nil || !st.Enabled {
		t.Errorf("status: %+v, %v", st, err)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
	ops, err := history.Read(p.w.log)
	if err != nil {
		t.Fatal(err)
	}
	if n := count(ops, history.Open); n > 0 {
		t.Errorf("%d operations have no end", n)
	}
}

func TestAWorkerThatIsKilledLeavesItsLog(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	acked(t, p, 100)
	p.kill()
	ops, err := history.Read(p.w.log)
	if err != nil {
		t.Fatal(err)
	}
	if n := count(ops, history.Acked); n < 100 {
		t.Errorf("%d acknowledged writes, want at least the 100 that were seen", n)
	}
	if err := p.died(); err != nil {
		t.Error(err)
	}
}

func TestAWorkerThatDiesIsFound(t *testing.T) {
	t.Parallel()
	p, err := spawn(&worker{id: 1, log: filepath.Join(t.TempDir(), "missing", "log")})
	if err == nil {
		t.Cleanup(p.kill)
	}
	if err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a log that cannot be made: %v", err)
	}
	p, err = spawn(&worker{id: 1, log: filepath.Join(t.TempDir(), "log"), bug: "no such"})
	if err != nil {
		t.Fatal(err)
	}
	<-p.exited
	if p.died() == nil {
		t.Error("it has ended by itself, and nobody was told")
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	if code := command(context.Background(), []string{"-runs", "many"}, io.Discard, io.Discard); code != 2 {
		t.Errorf("exit %d, want 2", code)
	}
	var w worker
	want := worker{id: 3, primary: "a", local: "b", log: "c", seed: 4, callers: 5, pause: time.Second, bug: "swap", fight: true}
	if err := w.flags("").Parse(want.args()[1:]); err != nil || w != want {
		t.Errorf("%+v, %v", w, err)
	}
}
