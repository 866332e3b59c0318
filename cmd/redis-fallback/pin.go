package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/redis-fallback/fallback"
)

const pinUsage = `Holds the service on one server, for all processes that share local, until unpin: for maintenance, or
because you know better than the probes.

  redis-fallback pin local       go to local now, and stay there
  redis-fallback pin primary     go back to the primary once it has the journal, and never leave it

`

const unpinUsage = `Ends a pin. A service that was held on local returns once the primary is found well.

  redis-fallback unpin

`

func pin(ctx context.Context, args []string, out, stderr io.Writer) error {
	f := flags("pin", pinUsage, stderr)
	where := placeFlags(f)
	named, err := words(f, args)
	if err != nil {
		return err
	}
	to := map[string]fallback.Backend{"primary": fallback.Primary, "local": fallback.Local}
	if len(named) != 1 {
		named = []string{""}
	}
	b, ok := to[named[0]]
	if !ok {
		return errors.New("usage: redis-fallback pin [--name NAME] primary|local")
	}
	return withHook(ctx, where, func(h *fallback.Hook) error {
		if err := h.Pin(b); err != nil {
			return advice("REDIS_FALLBACK_URL", err)
		}
		if b == fallback.Primary && h.Serving() != b {
			fmt.Fprintln(out, "pinned; local serves until the primary has the journal")
			if fault := h.Status().Journal.LastFault; fault != "" {
				fmt.Fprintln(out, "the last attempt:", fault)
			}
			return nil
		}
		fmt.Fprintf(out, "pinned: %v serves\n", b)
		return nil
	})
}

func unpin(ctx context.Context, args []string, out, stderr io.Writer) error {
	f := flags("unpin", unpinUsage, stderr)
	where := placeFlags(f)
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return errors.New("usage: redis-fallback unpin [--name NAME]")
	}
	return withHook(ctx, where, func(h *fallback.Hook) error {
		if err := h.Unpin(); err != nil {
			return advice("REDIS_FALLBACK_URL", err)
		}
		fmt.Fprintf(out, "not pinned: %v serves\n", h.Serving())
		return nil
	})
}

// withHook does something as one more process that shares local.
func withHook(ctx context.Context, where place, do func(*fallback.Hook) error) error {
	if _, err := where.number(); err != nil {
		return err
	}
	rdb, h, err := fallback.FromEnv(where.options()...)
	if err != nil {
		return err
	}
	defer rdb.Close()
	defer h.Shutdown(context.WithoutCancel(ctx))
	switch s := h.Status(); {
	case !s.Enabled:
		return errors.New("the fallback is switched off: set REDIS_FALLBACK_URL, or REDIS_FALLBACK_ENABLED=true")
	case s.Journal.Off != "":
		return fmt.Errorf("there is nothing that processes share: %s", s.Journal.Off)
	}
	return do(h)
}
