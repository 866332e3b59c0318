package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

const password = "hunter2"

// application is one that runs while its primary is over quota.
type application struct {
	primary, local *fallbacktest.Server
	rdb            *redis.Client
	h              *fallback.Hook
}

// outOfQuota runs an application that has written so many counters on local, and sets the environment.
func outOfQuota(t *testing.T, counters int) *application {
	t.Helper()
	a := &application{
		primary: fallbacktest.Run(t, fallbacktest.WithPassword(password)),
		local:   fallbacktest.Run(t, fallbacktest.WithPassword(password)),
	}
	t.Setenv("REDIS_URL", a.primary.URL())
	t.Setenv("REDIS_FALLBACK_URL", a.local.URL())
	a.start(t)
	a.primary.Exhaust()
	for i := range counters {
		if err := a.rdb.Incr(context.Background(), fmt.Sprint("n", i)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func (a *application) start(t *testing.T) {
	t.Helper()
	var err error
	a.rdb, a.h, err = fallback.FromEnv(fallback.WithLogger(slog.New(slog.DiscardHandler)),
		fallback.WithHealth(health.Config{Hold: time.Hour, MaxHold: time.Hour}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.stop() })
	if err := a.rdb.Ping(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
}

func (a *application) stop() {
	_ = a.h.Shutdown(context.Background())
	_ = a.rdb.Close()
}

// says runs the command, and wants an exit code and texts.
func says(t *testing.T, code int, args []string, want ...string) string {
	t.Helper()
	got, out, errs := output(t, context.Background(), args...)
	out += errs
	if got != code {
		t.Fatalf("%v: exit %d, want %d\n%s", args, got, code, out)
	}
	for _, text := range want {
		if !strings.Contains(out, text) {
			t.Errorf("%v lacks %q:\n%s", args, text, out)
		}
	}
	if strings.Contains(out, password) {
		t.Errorf("%v shows a password:\n%s", args, out)
	}
	return out
}

func TestDrainWithNoApplication(t *testing.T) {
	a := outOfQuota(t, 20)
	a.stop()
	says(t, 1, []string{"drain"}, "refuses", "nothing of that has run")
	a.primary.Renew()
	before := a.primary.Commands()
	says(t, 0, []string{"drain", "--dry-run"}, "to deliver: 20 entries with 20 writes", "about 25 commands")
	if n := a.primary.Commands() - before; n != 0 {
		t.Errorf("the dry run cost %d commands", n)
	}
	says(t, 1, []string{"drain", "--budget", "20"}, "spent its budget", "a larger --budget")
	if n := a.primary.Commands() - before; n > 20 {
		t.Errorf("%d commands, beyond the budget of 20", n)
	}
	says(t, 0, []string{"drain"}, "delivered ")
	says(t, 0, []string{"drain"}, "to deliver: 0 entries", "delivered 0 entries")
	for i := range 20 {
		if v, err := a.primary.Data().Get(fmt.Sprint("n", i)); v != "1" {
			t.Errorf("n%d is %q (%v)", i, v, err)
		}
	}
	says(t, 0, []string{"status"}, "local, for", "the primary has all of it")
	says(t, 0, []string{"drain", "--return"}, "the primary serves")
	says(t, 0, []string{"status"}, "primary, for")
	says(t, 0, []string{"drain"}, "the primary serves, and has everything")
	a.start(t)
	if a.h.Serving() != fallback.Primary {
		t.Error("an application that starts now is not on the primary")
	}
}

// What is delivered beside an application that goes on writing, and delivers too, is there once.
func TestDrainBesideAnApplication(t *testing.T) {
	a := outOfQuota(t, 1)
	a.primary.Renew()
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				done <- n
				return
			default:
				if err := a.rdb.Incr(context.Background(), "busy").Err(); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	both := make(chan error)
	go func() {
		_, err := a.h.Drain(context.Background(), 0)
		both <- err
	}()
	says(t, 0, []string{"drain"}, "delivered ")
	if err := <-both; err != nil {
		t.Error(err)
	}
	says(t, 0, []string{"drain", "--return"}, "the primary serves")
	close(stop)
	n := <-done
	if v, err := a.rdb.Get(context.Background(), "busy").Int(); v != n {
		t.Errorf("%d on the primary (%v), %d were acknowledged", v, err, n)
	}
}

func TestDrainIntoAnotherPrimary(t *testing.T) {
	a := outOfQuota(t, 1)
	a.primary.Renew()
	says(t, 0, []string{"drain"})
	a.h.Pin(fallback.Local)
	if err := a.rdb.Incr(context.Background(), "late").Err(); err != nil {
		t.Fatal(err)
	}
	a.stop()
	other := fallbacktest.Run(t)
	t.Setenv("REDIS_URL", other.URL())
	says(t, 1, []string{"drain"}, "not the one that the journal is for", "drain --adopt")
	if len(other.Data().Keys()) > 0 {
		t.Errorf("it has %v", other.Data().Keys())
	}
	says(t, 0, []string{"drain", "--adopt"})
	if v, _ := other.Data().Get("late"); v != "1" {
		t.Errorf("late is %q there", v)
	}
}

func TestDead(t *testing.T) {
	a := outOfQuota(t, 1)
	ctx := context.Background()
	for _, key := range []string{"a", "b", "c\x1b[2J"} {
		if err := a.rdb.LPush(ctx, key, "value of "+password).Err(); err != nil {
			t.Fatal(err)
		}
		if err := a.primary.Data().Set(key, "no list"); err != nil {
			t.Fatal(err)
		}
	}
	says(t, 0, []string{"dead"}, "no dead letters")
	a.stop()
	a.primary.Renew()
	says(t, 0, []string{"drain"}, "3 dead letters: see redis-fallback dead")
	list := says(t, 0, []string{"dead"}, "LPUSH", " a ", "WRONGTYPE", "c?[2J")
	if strings.Contains(list, "\x1b") {
		t.Error("a key moves the terminal's cursor")
	}
	var letters []letterReport
	if err := json.Unmarshal([]byte(says(t, 0, []string{"dead", "--json"})), &letters); err != nil || len(letters) != 3 {
		t.Fatalf("%v, %+v", err, letters)
	}
	if l := letters[1]; l.Command == "" || len(l.Keys) != 1 || l.Keys[0] != "b" || l.Doubt || l.Error == "" {
		t.Errorf("%+v", l)
	}
	says(t, 1, []string{"dead", "--retry", "all"}, "3 of 3 failed", "WRONGTYPE")
	a.primary.Data().Del("a")
	says(t, 0, []string{"dead", "--retry", letters[0].ID}, "sent again  "+letters[0].ID)
	if v, err := a.primary.Data().List("a"); err != nil || len(v) != 1 {
		t.Errorf("a: %v, %v", v, err)
	}
	says(t, 1, []string{"dead", "--retry", letters[0].ID}, "no such dead letter")
	says(t, 1, []string{"dead", "--drop", letters[0].ID}, "no such dead letter")
	says(t, 0, []string{"dead", "--drop", "all"}, "dropped  "+letters[1].ID, "dropped  "+letters[2].ID)
	says(t, 0, []string{"dead"}, "no dead letters")
}

func TestStatus(t *testing.T) {
	local := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "everysec")
	t.Setenv("REDIS_FALLBACK_URL", "redis://"+local.Addr())
	says(t, 0, []string{"status"}, `no record of "upstash" in database 15`, "durability second", "Redis 7")
	a := outOfQuota(t, 3)
	says(t, 0, []string{"status"}, "local, for", "reason quota", "4 entries", "the oldest that the primary does not have",
		"durability unknown", "dead letters  0")
	says(t, 0, []string{"status", "--name", "other"}, `no record of "other"`)
	var r report
	if err := json.Unmarshal([]byte(says(t, 0, []string{"status", "--json"})), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Used || r.Serving != "local" || r.Journal.Entries != 4 || r.Journal.Oldest == nil || len(r.Processes) != 1 || r.Epoch < 2 {
		t.Errorf("%+v", r)
	}
	a.local.Stop()
	says(t, 1, []string{"status"}, "local: not reachable; is REDIS_FALLBACK_URL right")
}

func TestPinAndUnpin(t *testing.T) {
	a := outOfQuota(t, 1)
	a.primary.Renew()
	says(t, 0, []string{"pin", "primary"}, "pinned: primary serves")
	says(t, 0, []string{"status"}, "on primary by an operator")
	says(t, 0, []string{"pin", "local", "--name", "upstash"}, "pinned: local serves")
	for deadline := time.Now().Add(10 * time.Second); a.h.Serving() != fallback.Local; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the application has not heard of the pin")
		}
	}
	if err := a.rdb.Incr(context.Background(), "n0").Err(); err != nil {
		t.Fatal(err)
	}
	// What local had begun before the return it holds no more.
	if v, _ := a.local.Data().Get("n0"); v == "" {
		t.Error("the application wrote elsewhere")
	}
	if v, _ := a.primary.Data().Get("n0"); v != "1" {
		t.Errorf("the application wrote to the primary: %q", v)
	}
	says(t, 0, []string{"unpin"}, "not pinned: local serves")
	a.primary.Exhaust()
	says(t, 0, []string{"pin", "primary"}, "local serves until the primary has the journal")
}

// The help of each command has an example, and what is wrong is said by the name of the setting.
func TestUsageOfTheTools(t *testing.T) {
	primary := fallbacktest.Run(t)
	t.Setenv("REDIS_URL", "")
	t.Setenv("REDIS_FALLBACK_URL", primary.URL())
	example := regexp.MustCompile(`(?m)^  .*redis-fallback \w+`)
	for _, name := range []string{"doctor", "status", "probe", "drain", "dead", "sync", "verify", "pin", "unpin"} {
		if out := says(t, 0, []string{name, "--help"}, "-name"); !example.MatchString(out) {
			t.Errorf("%s --help has no example:\n%s", name, out)
		}
		says(t, 1, []string{name, "nosuch", "word"}, "usage: redis-fallback "+name)
		says(t, 1, []string{name, "--nosuch"}, "-nosuch")
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"drain"}, "no application of that name"},
		{[]string{"dead"}, "no application of that name"},
		{[]string{"drain", "--budget", "-1"}, "usage"},
		{[]string{"dead", "--drop", "a", "--retry", "b"}, "usage"},
		{[]string{"pin", "nowhere"}, "primary|local"},
		{[]string{"pin", "local"}, "REDIS_URL: not set"},
		{[]string{"status", "--database", "-1"}, "--database"},
	} {
		says(t, 1, c.args, c.want)
	}
	for value, want := range map[string]string{
		"x": `REDIS_FALLBACK_JOURNAL_DATABASE: "x"`, "-1": "there is no journal", "0": "less than 1",
	} {
		t.Setenv(journalVariable, value)
		says(t, 1, []string{"status"}, want)
	}
	t.Setenv(journalVariable, "")
	t.Setenv("REDIS_FALLBACK_URL", "://"+password)
	says(t, 1, []string{"status"}, "REDIS_FALLBACK_URL: not a Redis URL")
}
