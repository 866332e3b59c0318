// Command crash shows that no acknowledged write is lost, doubled or out of order, whatever happens:
// processes of an application write through the hook while their quota comes and goes, processes and
// servers are killed and stopped, and connections are cut with replies lost. Then everything is well
// again, and what the primary has is held against all that was acknowledged, and what local has against
// the primary.
//
//	go run ./internal/crash                       a run of 20 s
//	go run ./internal/crash -runs 100             the long way, about 50 minutes
//	go run ./internal/crash -seed 17 -v           run 17 again, with what happened in it
//	go run ./internal/crash -mirror -runs 10      a fight over few keys, after which local is held against the primary
//
// It needs redis-server. It ends with 1 if anything was found, and keeps the files of that run.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == workerCommand {
		if err := work(os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	os.Exit(code)
}

// command is the program that starts the runs.
func command(ctx context.Context, args []string, out, errs io.Writer) int {
	f := flag.NewFlagSet("crash", flag.ContinueOnError)
	f.SetOutput(errs)
	var s settings
	runs := f.Int("runs", 1, "how many runs")
	seed := f.Uint64("seed", 1, "of the first run; the others count on")
	dir := f.String("dir", "", "where files of the runs go; default a new folder for temporary files")
	verbose := f.Bool("v", false, "say what happened when")
	f.DurationVar(&s.span, "span", 20*time.Second, "how long things happen in one run")
	f.DurationVar(&s.settle, "settle", time.Minute, "how long all may take to be well again")
	f.IntVar(&s.processes, "processes", 4, "of the application")
	f.IntVar(&s.callers, "callers", 4, "goroutines of each")
	f.DurationVar(&s.pause, "pause", 50*time.Millisecond, "between two calls of one, on average")
	f.BoolVar(&s.calm, "calm", false, "nothing happens")
	f.BoolVar(&s.alone, "alone", false, "there is no local: what the harness finds then is a mistake of its own, or of the retries")
	f.Func("only", "`faults` that come, separated by commas; default all", func(v string) error {
		var err error
		s.only, err = parseFaults(v)
		return err
	})
	f.BoolFunc("mirror", "two processes of 32 goroutines each fight over ten keys of each type, and only local is checked", func(string) error {
		s.fight, s.processes, s.callers, s.pause = true, 2, 32, 10*time.Millisecond
		return nil
	})
	f.StringVar(&s.bug, "bug", "", "a mistake that the processes make on purpose")
	if err := f.Parse(args); err != nil {
		return 2
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		fmt.Fprintln(errs, "crash: redis-server is not installed")
		return 2
	}
	if *dir == "" {
		made, err := os.MkdirTemp("", "crash")
		if err != nil {
			fmt.Fprintln(errs, "crash:", err)
			return 2
		}
		*dir = made
		defer func() { _ = os.Remove(made) }() // if no run has left anything
	}
	sum := newTotal(out)
	for i := range uint64(*runs) {
		if ctx.Err() != nil {
			break
		}
		sum.add(s.once(ctx, *seed+i, *dir), *verbose)
	}
	sum.print()
	if sum.bad > 0 || ctx.Err() != nil {
		return 1
	}
	return 0
}

// result is one run and what it has shown.
type result struct {
	seed uint64
	dir  string
	took time.Duration
	*outcome
	err error
}

func (r result) bad() bool {
	return r.err != nil || len(r.Violations) > 0 || r.undelivered > 0 || r.unsettled != "" || len(r.warm.Wrong) > 0
}

// once does one run in a folder of its own, which goes if nothing was found.
func (s settings) once(ctx context.Context, seed uint64, parent string) result {
	began := time.Now()
	r := result{seed: seed}
	if r.dir, r.err = os.MkdirTemp(parent, fmt.Sprintf("run-%d-", seed)); r.err != nil {
		return r
	}
	r.outcome, r.err = s.run(ctx, seed, r.dir)
	r.took = time.Since(began)
	if !r.bad() {
		_ = os.RemoveAll(r.dir)
	}
	return r
}
