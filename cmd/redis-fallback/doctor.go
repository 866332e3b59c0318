package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/diagnosis"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
)

const doctorUsage = `Looks whether this application would fail over and return, before it has to: both servers are reached, over
TLS where the URL says so, the login is right, its user may do what probes, journal and mirror do, versions
and settings are fit, and the clocks agree. Each row is ok, a warning, or an error, with what to do. Nothing
is changed: two or three keys that it writes expire within ten seconds. The primary executes about ten small
commands, and how many they were is said at the end. Exits with 1 if there is an error.

  REDIS_URL=rediss://default:pw@host:6379 REDIS_FALLBACK_URL=redis://localhost:6379 redis-fallback doctor
  redis-fallback doctor --json | jq '.checks[] | select(.level != "ok")'
  redis-fallback doctor && ./server          do not start with settings that cannot work

It sees the settings that FromEnv makes of the environment; a client that the program makes itself may have
others. redis-fallback drill goes further: it has the application fail over.

`

// check is one row.
type check struct {
	Level  diagnosis.Level `json:"level"`
	Server string          `json:"server"` // primary, local, both, or service
	Name   string          `json:"check"`
	Text   string          `json:"text"`
	Do     string          `json:"do,omitempty"`
}

// checkup collects the rows, and shows each as it comes: a server that is not there takes seconds.
type checkup struct {
	screen *screen // nil where they are written as JSON
	checks []check
}

// checkupReport is all of them as JSON.
type checkupReport struct {
	Checks   []check `json:"checks"`
	Errors   int     `json:"errors"`
	Warnings int     `json:"warnings"`
	Commands int64   `json:"primary_commands"`
}

func (c *checkup) add(l diagnosis.Level, server, name, text, do string) {
	row := check{l, server, name, plain(text), do}
	c.checks = append(c.checks, row)
	if c.screen == nil {
		return
	}
	colour := map[diagnosis.Level]string{diagnosis.OK: "32", diagnosis.Warning: "33", diagnosis.Error: "31"}[l]
	fmt.Fprintf(c.screen.out, "%s  %-8s %-12s %s\n", c.screen.paint(colour, fmt.Sprintf("%-7s", l)), server, name, row.Text)
	if do != "" {
		fmt.Fprintf(c.screen.out, "%31s%s\n", "", c.screen.paint("1", "do: ")+do)
	}
}

func (c *checkup) report(commands int64) checkupReport {
	r := checkupReport{Checks: c.checks, Commands: commands}
	for _, row := range c.checks {
		switch row.Level {
		case diagnosis.Error:
			r.Errors++
		case diagnosis.Warning:
			r.Warnings++
		case diagnosis.OK:
		}
	}
	return r
}

func doctor(ctx context.Context, args []string, out, stderr io.Writer) error {
	f := flags("doctor", doctorUsage, stderr)
	where := placeFlags(f)
	asJSON := f.Bool("json", false, "write one JSON object at the end")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return errors.New("usage: redis-fallback doctor [--json] [--name NAME] [--database NUMBER]")
	}
	c := &checkup{}
	if !*asJSON {
		c.screen = newScreen(out)
	}
	commands, err := c.examine(ctx, where)
	if err != nil {
		return err
	}
	r := c.report(commands)
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		fmt.Fprintf(out, "\n%s, %s; the primary executed %s\n", plural(int64(r.Errors), "error", "errors"),
			plural(int64(r.Warnings), "warning", "warnings"), plural(commands, "command", "commands"))
	}
	if err == nil && r.Errors > 0 {
		err = fmt.Errorf("%s to mend", plural(int64(r.Errors), "error", "errors"))
	}
	return err
}

// examine makes all checks, and returns how many commands the primary has executed for it. The error is
// that of a context that is over.
func (c *checkup) examine(ctx context.Context, where place) (int64, error) {
	primary, ok := c.settings(where)
	if !ok {
		return 0, nil
	}
	l, err := localOptions()
	if err != nil {
		c.add(diagnosis.Error, "local", "settings", err.Error(), "mend that variable")
		return 0, nil
	}
	db, err := where.number()
	if err != nil {
		c.add(diagnosis.Warning, "local", "settings", err.Error(), "without a journal what local acknowledges stays there")
		db = 0
	}
	local := newPatient(c, "local", "REDIS_FALLBACK_URL", l)
	defer local.close()
	hosted := newPatient(c, "primary", primaryVariable(), primary)
	defer hosted.close()

	wellLocal := local.basics(ctx)
	var fleet *journal.Fleet
	if wellLocal {
		local.standIn(ctx)
		if db > 0 {
			fleet = c.journalOn(ctx, local, *where.name, db)
		}
	}
	if hosted.basics(ctx) {
		hosted.asPrimary(ctx, *where.name, fleet, primary)
	}
	if wellLocal && hosted.server != nil {
		c.both(ctx, hosted, local)
	}
	return hosted.sent.Load(), ctx.Err()
}

// settings reads the environment as FromEnv does.
func (c *checkup) settings(where place) (*redis.Options, bool) {
	rdb, h, err := fallback.FromEnv(fallback.WithName(*where.name), fallback.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		all := []error{err}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			all = joined.Unwrap()
		}
		for _, err := range all {
			c.add(diagnosis.Error, "both", "settings", strings.TrimPrefix(err.Error(), "redis fallback: "), "mend it first: nothing can be looked at without")
		}
		return nil, false
	}
	defer rdb.Close()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = h.Shutdown(ctx)
	}()
	if h.Status().Enabled {
		c.add(diagnosis.OK, "both", "settings", "the environment can be read, and the fallback is switched on", "")
	} else {
		c.add(diagnosis.Error, "both", "settings", "the fallback is switched off: when the primary refuses or is gone, calls fail",
			"set REDIS_FALLBACK_URL, or REDIS_FALLBACK_ENABLED=true")
	}
	o := *rdb.Options()
	c.client(&o)
	return &o, true
}

func primaryVariable() string {
	if strings.TrimSpace(os.Getenv("REDIS_URL")) == "" {
		return "REDIS__URL"
	}
	return "REDIS_URL"
}

// client looks for settings of the application's client of the primary that will bite.
func (c *checkup) client(o *redis.Options) {
	bad := 0
	warn := func(text, do string) {
		bad++
		c.add(diagnosis.Warning, "primary", "client", text, do)
	}
	if o.MaxRetries == 0 {
		warn("max_retries is off: each connection that the host has closed while it was idle is an error of a call",
			"leave max_retries out of the URL; commands that must not run twice are not repeated blindly anyway")
	}
	if idle := o.ConnMaxIdleTime; (idle <= 0 || idle > 30*time.Second) && awayFrom(o) {
		warn(fmt.Sprintf("idle connections are kept %s: hosts close theirs from 30 s on", untilWhen(idle)), "set conn_max_idle_time=25s in the URL, or leave it out")
	}
	for _, t := range []struct {
		name  string
		value time.Duration
	}{{"dial_timeout", o.DialTimeout}, {"read_timeout", o.ReadTimeout}, {"write_timeout", o.WriteTimeout}} {
		switch {
		case t.value <= 0 || t.value > 10*time.Second:
			warn(fmt.Sprintf("%s is %s: a call may hang as long on a server that is gone", t.name, unbounded(t.value)), "set it to a few seconds")
		case t.value < 200*time.Millisecond:
			warn(fmt.Sprintf("%s is %s: a slow answer counts as a lost one, and five of them as an outage", t.name, t.value), "set it to a second or more")
		}
	}
	if bad == 0 {
		c.add(diagnosis.OK, "primary", "client", fmt.Sprintf("retries %d, idle connections %s, time-outs %s to dial, %s to read",
			o.MaxRetries, o.ConnMaxIdleTime, o.DialTimeout, o.ReadTimeout), "")
	}
}

func untilWhen(d time.Duration) string {
	if d <= 0 {
		return "for ever"
	}
	return "for " + d.String()
}

func unbounded(d time.Duration) string {
	if d <= 0 {
		return "off"
	}
	return d.String()
}
