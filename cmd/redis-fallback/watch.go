package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"
)

// watch shows something again and again, until ctx ends, which is no error: over itself on a terminal, one
// after the other elsewhere. What fails is shown as well, and looked at again: a watch must outlive what it
// watches.
func watch(ctx context.Context, out io.Writer, every time.Duration, lines bool, look func(context.Context, io.Writer) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	terminal := newScreen(out).colour
	for {
		var b bytes.Buffer
		if !lines {
			fmt.Fprintf(&b, "%s, again each %s\n\n", time.Now().UTC().Format("2006-01-02 15:04:05 UTC"), every)
		}
		bounded, cancel := context.WithTimeout(ctx, lookTime)
		err := look(bounded, &b)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case err != nil && lines:
			fmt.Fprintf(&b, "{\"error\":%q}\n", plain(err.Error()))
		case err != nil:
			fmt.Fprintln(&b, plain(err.Error()))
		}
		if terminal && !lines {
			fmt.Fprint(out, "\x1b[H\x1b[2J")
		}
		_, _ = out.Write(b.Bytes()) // at once, or a terminal flickers
		if !terminal && !lines {
			fmt.Fprintln(out)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
