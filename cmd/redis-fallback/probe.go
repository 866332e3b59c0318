package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

const probeUsage = `Looks at the primary now, as a probe does: one small write, which is one billed command. A PING would prove
nothing over quota. With --return, and while local serves, it goes on until enough probes in a row are good,
some seconds apart; then the journal is delivered, and the primary serves for all processes. Applications do
the same by themselves, but after a refusal they may wait an hour.

  redis-fallback probe                is the primary well?
  redis-fallback probe --return       then let it serve again
  redis-fallback probe --json | jq .answered

Exits with 1 if the primary does not answer, or does not serve in the end.

`

// probeReport is what a probe came to, as JSON.
type probeReport struct {
	Answered     bool    `json:"answered"`
	Error        string  `json:"error,omitempty"`
	Milliseconds float64 `json:"milliseconds"`
	Probes       int     `json:"probes"`
	Serving      string  `json:"serving"`
}

func probe(ctx context.Context, args []string, out, stderr io.Writer) error {
	f := flags("probe", probeUsage, stderr)
	where := placeFlags(f)
	back := f.Bool("return", false, "go on until the primary serves")
	asJSON := f.Bool("json", false, "write one JSON object at the end")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return errors.New("usage: redis-fallback probe [--return] [--json] [--name NAME]")
	}
	rdb, h, err := prober(ctx, where)
	if err != nil {
		return err
	}
	defer rdb.Close()
	defer h.Shutdown(context.WithoutCancel(ctx))

	var r probeReport
	tell := func(format string, args ...any) {
		if !*asJSON {
			fmt.Fprintf(out, format+"\n", args...)
		}
	}
	err = r.look(ctx, h, tell)
	for err == nil && *back && h.Serving() == fallback.Local {
		if err = nextLook(ctx, h); err == nil {
			err = r.look(ctx, h, tell)
		}
	}
	r.Serving = h.Serving().String()
	if err != nil {
		r.Error = err.Error()
	}
	if *asJSON {
		return errors.Join(json.NewEncoder(out).Encode(r), err)
	}
	if err == nil {
		tell("%s serves", r.Serving)
	}
	return err
}

// prober returns a client with a hook that knows who serves, as one more process that shares local.
func prober(ctx context.Context, where place) (*redis.Client, *fallback.Hook, error) {
	rdb, h, err := fallback.FromEnv(where.options()...)
	if err != nil {
		return nil, nil, err
	}
	if !h.Status().Enabled {
		return nil, nil, errors.Join(errors.New("the fallback is switched off: set REDIS_FALLBACK_URL, or REDIS_FALLBACK_ENABLED=true"), rdb.Close())
	}
	_ = rdb.Ping(ctx).Err() // the record is read before it; what it meets, the probe says better
	return rdb, h, nil
}

// look is one probe.
func (r *probeReport) look(ctx context.Context, h *fallback.Hook, tell func(string, ...any)) error {
	began := time.Now()
	err := h.Probe(ctx)
	took := time.Since(began)
	r.Probes++
	r.Answered, r.Milliseconds = err == nil, float64(took.Microseconds())/1000
	if err != nil {
		return fmt.Errorf("the primary does not take it: %w", advice("REDIS_URL", err))
	}
	s := h.Status()
	switch {
	case s.Serving == fallback.Local && s.Journal.LastFault != "" && s.Journal.LastFaultAt.After(began):
		return fmt.Errorf("the primary answers, but cannot take the journal: %s; redis-fallback drain says more", s.Journal.LastFault)
	case s.Serving == fallback.Local && s.GoodProbes > 0:
		tell("the primary answers, in %s; %d good in a row", short(took), s.GoodProbes)
	default:
		tell("the primary answers, in %s", short(took))
	}
	return nil
}

// nextLook waits until the next probe is due. It is made a moment before the hook itself would make it, or
// there would be two.
func nextLook(ctx context.Context, h *fallback.Hook) error {
	const before = 20 * time.Millisecond
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(max(time.Until(h.Status().NextProbe)-before, 0)):
		return nil
	}
}
