package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis/go-redis/v9"
)

const demoUsage = `A small web application runs on a metered Redis. Its quota ends, it is renewed, the server dies, it
comes back; the application goes on all the while. Everything is embedded, and over in half a minute.

  redis-fallback demo
  redis-fallback demo --console :8080      and watch it at http://localhost:8080/
  redis-fallback demo --primary rediss://default:pw@host:6379 --local redis://localhost:6379

With --primary and --local the same runs on real servers: the refusals are made up on this side, so
that no quota is spent on them, and the servers are left running. With --console the application goes on
after the story, until Ctrl-C, so that the page can be looked at.

`

// stage is what the demo runs on.
type stage struct {
	rdb, local    *redis.Client
	h             *fallback.Hook
	exhaust       func()
	renew         func()
	kill, restart func() error // nil on real servers
	close         func()
}

func demo(ctx context.Context, args []string, out, stderr io.Writer) error {
	f := flags("demo", demoUsage, stderr)
	primary := f.String("primary", "", "`URL` of a real primary; without it one is embedded")
	local := f.String("local", "", "`URL` of a real local; without it one is embedded")
	speed := f.Float64("speed", 1, "1 takes half a minute, 5 a fifth of it")
	page := f.String("console", "", "serve the live page at this `address`, such as :8080")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || *speed <= 0 {
		return fmt.Errorf("usage: redis-fallback demo [--console ADDRESS] [--primary URL --local URL] [--speed N]")
	}
	unit := time.Duration(float64(time.Second) / *speed)
	show := newScreen(out)
	events := make(chan fallback.Event, 64)
	st, err := newStage(*primary, *local, unit, events)
	if err != nil {
		return err
	}
	defer st.close()
	if *page != "" {
		url, end, err := servePage(ctx, *page, st.h)
		if err != nil {
			return err
		}
		defer end()
		fmt.Fprintf(out, "the page: %s\n", url)
	}
	prefix := ""
	if *primary != "" || *local != "" {
		prefix = "redis-fallback-demo:"
	}
	p := &program{rdb: st.rdb, prefix: prefix}

	d := &director{stage: st, program: p, screen: show, events: events, unit: unit}
	began := time.Now()
	work, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan struct{})
	go func() {
		defer close(served)
		p.serve(work)
	}()
	err = d.play(ctx)
	if err == nil && *page != "" {
		fmt.Fprintln(out, "\nthe story is over; the application and its page go on until Ctrl-C")
		<-ctx.Done()
	}
	stop()
	<-served
	d.summary(time.Since(began), err)
	if prefix != "" {
		d.cleanUp(prefix)
	}
	return err
}

func newStage(primaryURL, localURL string, unit time.Duration, events chan<- fallback.Event) (*stage, error) {
	st := &stage{}
	var closers []func()
	st.close = func() {
		for _, f := range slices.Backward(closers) {
			f()
		}
	}
	client := func(flagName, raw string) (*redis.Client, *fallbacktest.Server, error) {
		var srv *fallbacktest.Server
		var o *redis.Options
		var err error
		if raw == "" {
			if srv, err = fallbacktest.Start(); err != nil {
				return nil, nil, err
			}
			closers = append(closers, srv.Close)
			o = srv.Options()
		} else if o, err = redis.ParseURL(raw); err != nil {
			return nil, nil, fmt.Errorf("--%s: not a Redis URL (it is not shown: it may hold a password)", flagName)
		}
		// By a client of its own: what is in a pool before AddHook passes the hooks by.
		look := redis.NewClient(o)
		err = look.Ping(context.Background()).Err()
		_ = look.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("--%s does not answer: %w", flagName, err)
		}
		rdb := redis.NewClient(o)
		closers = append(closers, func() { _ = rdb.Close() })
		return rdb, srv, nil
	}
	rdb, srv, err := client("primary", primaryURL)
	if err == nil {
		st.local, _, err = client("local", localURL)
	}
	if err != nil {
		st.close()
		return nil, err
	}
	st.rdb = rdb
	st.h = fallback.New(
		st.local,
		fallback.WithName("upstash"),
		fallback.WithLogger(slog.New(slog.DiscardHandler)), // its lines are told in the demo's own words
		fallback.WithOnSwitch(func(e fallback.Event) { events <- e }),
		// A real hold is 5 minutes; nobody would watch that.
		fallback.WithBreaker(breaker.Config{Cooldown: 2 * unit}),
		fallback.WithHealth(health.Config{Hold: 3 * unit, MaxHold: 6 * unit, Every: unit / 3}),
	)
	st.rdb.AddHook(st.h)
	closers = append(closers, func() { _ = st.h.Shutdown(context.Background()) })
	if srv != nil {
		st.exhaust, st.renew = srv.Exhaust, srv.Renew
		st.kill = func() error { srv.Stop(); return nil }
		st.restart = srv.Restart
		return st, nil
	}
	r := &refuser{}
	st.rdb.AddHook(r)
	st.exhaust, st.renew = func() { r.on.Store(true) }, func() { r.on.Store(false) }
	return st, nil
}

// director lets the story happen, and counts.
type director struct {
	*stage
	program *program
	screen  *screen
	events  chan fallback.Event
	unit    time.Duration

	last     fallback.Status
	switches []string
}

func (d *director) play(ctx context.Context) error {
	if err := d.scene(ctx, "the application runs on the metered primary", 6, func() error { return nil }, nil); err != nil {
		return err
	}
	if err := d.scene(ctx, "the quota of the primary is used up", 7, func() error { d.exhaust(); return nil }, nil); err != nil {
		return err
	}
	if err := d.scene(ctx, "the quota is renewed; probes will notice", 12, func() error { d.renew(); return nil }, d.isBack); err != nil {
		return err
	}
	if d.kill == nil {
		return nil
	}
	if err := d.scene(ctx, "the primary is killed", 5, d.kill, nil); err != nil {
		return err
	}
	return d.scene(ctx, "the primary is started again", 12, d.restart, d.isBack)
}

func (d *director) isBack() bool { return d.h.Serving() == fallback.Primary }

// scene lets one thing happen and shows some seconds of what follows: two more, once it is done.
func (d *director) scene(ctx context.Context, title string, seconds int, happen func() error, done func() bool) error {
	d.screen.title(title)
	d.program.worst.Store(0)
	if err := happen(); err != nil {
		return err
	}
	tick := time.NewTicker(d.unit)
	defer tick.Stop()
	for i := 0; i < seconds; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-d.events:
			d.tell(e)
		case <-tick.C:
			i++
			d.second()
			if done != nil && done() && i < seconds-2 {
				i = seconds - 2
			}
		}
	}
	if done != nil && !done() {
		return errors.New("the primary did not come back in time; this should not happen")
	}
	return nil
}

// second shows what has been answered by whom since the last time.
func (d *director) second() {
	now := d.h.Status()
	d.screen.bar(now.Serving,
		now.Primary.Answered-d.last.Primary.Answered,
		now.Local.Answered-d.last.Local.Answered,
		d.program.failed.Load(), time.Duration(d.program.worst.Swap(0)))
	d.last = now
}

func (d *director) tell(e fallback.Event) {
	text := fmt.Sprintf("back on the primary after %s on local: %s good probes in a row", e.Lasted.Round(10*time.Millisecond), "3")
	if e.To == fallback.Local {
		text = fmt.Sprintf("switched to local: %s", e.Reason)
		if limit, ok := errors.AsType[*fallback.LimitError](e.Cause); ok {
			text += fmt.Sprintf(" (%s, limit %d, usage %d)", limit.Kind, limit.Limit, limit.Usage)
		}
	}
	d.switches = append(d.switches, text)
	d.screen.event(text)
}

func (d *director) summary(took time.Duration, failed error) {
	st := d.h.Status()
	d.screen.title("what was counted")
	row := func(name string, value any) { fmt.Fprintf(d.screen.out, "  %-46s %v\n", name, value) }
	row("time", took.Round(100*time.Millisecond))
	row("calls of the application", d.program.calls.Load())
	row("calls that failed", d.program.failed.Load())
	if err := d.program.firstError.Load(); err != nil {
		row("  the first of them", *err)
	}
	row("commands answered by the primary", st.Primary.Answered)
	row("commands answered by local", st.Local.Answered)
	row("commands the primary refused", st.Refused)
	row("switches to local, and back", fmt.Sprintf("%d, %d", st.Trips, st.Returns))
	if failed != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	onPrimary, _ := strconv.Atoi(d.rdb.Get(ctx, d.program.prefix+"visits").Val())
	onLocal, _ := strconv.Atoi(d.local.Get(ctx, d.program.prefix+"visits").Val())
	row("visits counted by the application", d.program.visits.Load())
	row("  on the primary, with what local had counted", onPrimary)
	row("  on local", onLocal)
}

// cleanUp removes what the demo has written to real servers.
func (d *director) cleanUp(prefix string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	keys := []string{prefix + "visits", prefix + "jobs", prefix + "page:home"}
	for user := range 8 {
		keys = append(keys, fmt.Sprintf("%ssession:%d", prefix, user))
	}
	d.renew()
	_ = d.local.Del(ctx, keys...).Err()
	_ = d.h.Pin(fallback.Primary)
	_ = d.rdb.Del(ctx, keys...).Err()
}

// screen writes to a terminal in colour, and plainly to anything else.
