package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// journalVariable is the variable of FromEnv for the journal's database.
const journalVariable = "REDIS_FALLBACK_JOURNAL_DATABASE"

// place says which journal is meant.
type place struct {
	name     *string
	database *int
}

func placeFlags(f *flag.FlagSet) place {
	return place{
		f.String("name", "upstash", "the `name` that the application gives WithName"),
		f.Int("database", 0, "`number` of local's database that the journal lies in; default "+journalVariable+", else 15"),
	}
}

// number returns the journal's database.
func (p place) number() (int, error) {
	if *p.database != 0 {
		if *p.database < 0 {
			return 0, errors.New("--database: must be 1 or more")
		}
		return *p.database, nil
	}
	v := strings.TrimSpace(os.Getenv(journalVariable))
	if v == "" {
		return journal.DefaultDatabase, nil
	}
	n, err := strconv.Atoi(v)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: %q is not a whole number", journalVariable, v)
	case n == -1:
		return 0, fmt.Errorf("%s is -1: there is no journal", journalVariable)
	case n < 1:
		return 0, fmt.Errorf("%s: %d is less than 1", journalVariable, n)
	}
	return n, nil
}

// options make a hook of FromEnv one of these processes. Without --database the journal is as the environment
// has it, its budget and bounds among it.
func (p place) options() []fallback.Option {
	all := []fallback.Option{fallback.WithName(*p.name), fallback.WithLogger(slog.New(slog.DiscardHandler))}
	if *p.database > 0 {
		all = append(all, fallback.WithJournal(fallback.JournalConfig{Database: *p.database}))
	}
	return all
}

// store returns the store on local. It does no I/O.
func (p place) store() (*journal.Store, error) {
	db, err := p.number()
	if err != nil {
		return nil, err
	}
	o, err := localOptions()
	if err != nil {
		return nil, err
	}
	o.DB = db
	quiet(o)
	return journal.New(redis.NewClient(o), *p.name, db), nil
}

// known is what local knows: nil where nobody has used it yet.
func known(ctx context.Context, store *journal.Store) (*journal.Fleet, error) {
	f, err := store.Tick(ctx, nil, journal.Limits{})
	switch {
	case errors.Is(err, journal.ErrGone):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("local: %w", advice("REDIS_FALLBACK_URL", err))
	}
	return f, nil
}

// open returns the store on local, and what local knows: nil where nobody has used it yet.
func (p place) open(ctx context.Context) (*journal.Store, *journal.Fleet, error) {
	store, err := p.store()
	if err != nil {
		return nil, nil, err
	}
	f, err := known(ctx, store)
	if err != nil {
		_ = store.Client().Close()
		return nil, nil, err
	}
	return store, f, nil
}

// used is open for what makes no sense on a local that nobody has used.
func (p place) used(ctx context.Context) (*journal.Store, *journal.Fleet, error) {
	store, f, err := p.open(ctx)
	if err == nil && f == nil {
		_ = store.Client().Close()
		return nil, nil, errors.New(p.unused(store.Database()))
	}
	return store, f, err
}

func (p place) unused(db int) string {
	return fmt.Sprintf("local has no record of %q in database %d: no application of that name has used it (see --name and --database)", *p.name, db)
}

// quiet makes a client that sends what it is told and no more, once.
func quiet(o *redis.Options) {
	o.MaxRetries, o.DialerRetries, o.PoolSize = -1, 1, 4
	o.DisableIdentity, o.ContextTimeoutEnabled = true, true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// deliverer returns what delivers from the store to the primary of the environment.
func deliverer(store *journal.Store) (*journal.Drain, error) {
	variable := "REDIS_URL"
	url := strings.TrimSpace(os.Getenv(variable))
	if url == "" {
		if url = strings.TrimSpace(os.Getenv("REDIS__URL")); url == "" {
			return nil, errors.New("REDIS_URL: not set; it is the URL of the primary, as in rediss://default:password@host:6379")
		}
		variable = "REDIS__URL"
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New(variable + ": not a Redis URL")
	}
	quiet(o)
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = 5*time.Second, 5*time.Second, 5*time.Second
	return &journal.Drain{
		Store: store, Primary: redis.NewClient(o), ID: "redis-fallback-" + rand.Text()[:8], Address: journal.Address(o.Network, o.Addr),
		Refused: func(err error) bool {
			switch fallback.Detect(nil, err) {
			case fallback.Limit, fallback.Capacity, fallback.Busy, fallback.Denied:
				return true
			case fallback.Unknown, fallback.Answered, fallback.Cancelled, fallback.Lost:
			}
			return false
		},
	}, nil
}

// explain says what to do about an error of a delivery.
func explain(err error) error {
	switch {
	case errors.Is(err, journal.ErrOtherPrimary):
		return fmt.Errorf("%w: is REDIS_URL right? If it is to be that one from now on: drain --adopt", err)
	case errors.Is(err, journal.ErrBudget):
		return fmt.Errorf("%w; the rest waits for another drain with a larger --budget", err)
	case errors.Is(err, journal.ErrRefused):
		return fmt.Errorf("%w; nothing of that has run, and it waits until the primary takes it", err)
	}
	return advice("REDIS_URL", err)
}

// plain is text without what moves a terminal's cursor.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}
