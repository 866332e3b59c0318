// Command model searches the protocol of package journal for traces that break it: trip, fence, journal,
// drain, shut, undo and return, with processes that sleep or die between any two steps.
//
// Atomic steps. On local: one script, or one EXEC. On the primary: one command, or one EXEC; so that
// WATCH, GET, MULTI up to the last QUEUED, and EXEC of a drainer are four. There is one key, and its
// value is the list of the writes that ran on it.
//
// A write is issued when its process decides where to send it, and runs later: in between anything may
// happen. It is acknowledged at the moment at which it runs: that is the earliest possible, and so the
// most is owed to it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	only := flag.String("run", "", "part of the names of the runs, all by default")
	limit := flag.Int("limit", 15_000_000, "most states, of about 110 bytes each")
	traces := flag.Bool("trace", false, "tell the shortest way to each violation")
	live := flag.Bool("live", false, "look for what can get stuck, which needs more memory")
	flag.Parse()
	for _, c := range slices.Concat(protocol(), mutations()) {
		if strings.Contains(c.Name, *only) {
			report(os.Stdout, &c, *limit, *live, *traces)
		}
	}
}

func report(w io.Writer, c *Config, limit int, live, traces bool) {
	began := time.Now()
	k := explore(c, limit, live, func(string) bool { return false })
	end := "all of them"
	if !k.Full {
		end = "cut there"
	}
	fmt.Fprintf(w, "%s: %d states, %s, %d steps, %d quiet, %.1fs\n", c.Name, len(k.parents), end, k.Steps, k.Quiet, time.Since(began).Seconds())
	for _, v := range k.Order {
		word := "VIOLATED"
		if slices.Contains(c.Accept, v) {
			word = "accepted"
		}
		fmt.Fprintf(w, "   %s %s\n", word, v)
		if !traces {
			continue
		}
		for n, line := range k.trace(k.Found[v]) {
			fmt.Fprintf(w, "      %2d %s\n", n+1, line)
		}
	}
}
