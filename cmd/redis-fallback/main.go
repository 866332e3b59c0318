// Command redis-fallback shows and tries out the fallback, and looks after what local keeps.
//
//	redis-fallback demo     the whole story in under a minute, nothing to install
//	redis-fallback doctor   looks whether both servers and all settings are fit for it
//	redis-fallback drill    proves that this application's own settings fail over and return
//	redis-fallback status   who serves, the journal, the processes, and whether local is fit for it
//	redis-fallback probe    looks at the primary now, and returns to it if it is well
//	redis-fallback drain    delivers the journal, with no application running or beside some
//	redis-fallback dead     what the primary did not take
//	redis-fallback sync     copies what the primary holds to local
//	redis-fallback verify   compares the two
//	redis-fallback pin      holds the service of all processes on one server; unpin ends that
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"
)

const usage = `redis-fallback: a go-redis client that survives its quota

  redis-fallback demo     an embedded metered Redis runs into its quota, and comes back
  redis-fallback doctor   look whether both servers and the settings of the environment are fit for it
  redis-fallback drill    refuse, fail over and return with the settings of the environment

  redis-fallback status   who serves, why, since when, what waits, and what to do
  redis-fallback probe    look at the primary now, and return to it if it is well
  redis-fallback drain    deliver the journal to the primary, with no application running or beside some
  redis-fallback dead     list, send again or drop what the primary did not take
  redis-fallback sync     copy what the primary holds to local
  redis-fallback verify   compare local with the primary, and repair it
  redis-fallback pin      hold the service of all processes on primary or local
  redis-fallback unpin    end that

redis-fallback <command> --help says more.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	redis.SetLogger(silent{}) // failed dials are shown in this program's own words
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	var err error
	switch args[0] {
	case "demo":
		err = demo(ctx, args[1:], stdout, stderr)
	case "drill":
		err = drill(ctx, args[1:], stdout, stderr)
	case "doctor":
		err = doctor(ctx, args[1:], stdout, stderr)
	case "probe":
		err = probe(ctx, args[1:], stdout, stderr)
	case "status":
		err = status(ctx, args[1:], stdout, stderr)
	case "drain":
		err = drain(ctx, args[1:], stdout, stderr)
	case "dead":
		err = dead(ctx, args[1:], stdout, stderr)
	case "sync":
		err = syncKeys(ctx, args[1:], stdout, stderr)
	case "verify":
		err = verify(ctx, args[1:], stdout, stderr)
	case "pin":
		err = pin(ctx, args[1:], stdout, stderr)
	case "unpin":
		err = unpin(ctx, args[1:], stdout, stderr)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
	default:
		fmt.Fprintf(stderr, "redis-fallback: there is no command %q\n\n%s", args[0], usage)
		return 2
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stdout, "\ninterrupted")
		return 130
	}
	fmt.Fprintf(stderr, "redis-fallback %s: %v\n", args[0], err)
	return 1
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// flags makes a flag set whose help shows an example. It is the standard library's: a dozen commands with a few
// flags each need no groups, aliases or completions, and a library for these would be the largest dependency of
// the module. That every help has an example, and every mistake a usage line, is what the tests see to.
func flags(name, about string, stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, about)
		f.PrintDefaults()
	}
	return f
}

// words reads flags wherever they stand, and returns the words between: "pin local --name shop" is what one
// types, and the flag package would stop at local.
func words(f *flag.FlagSet, args []string) ([]string, error) {
	var all []string
	for {
		if err := f.Parse(args); err != nil || f.NArg() == 0 {
			return all, err
		}
		all, args = append(all, f.Arg(0)), f.Args()[1:]
	}
}
