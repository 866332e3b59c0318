package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/journal"
)

const deadUsage = `Lists the dead letters: writes that local has acknowledged and the primary did not take, or of which nobody
can know whether it did. Values are not shown; keys are, so mind where the list goes.

  redis-fallback dead
  redis-fallback dead --retry 1764000000000-0.0    send it again, whatever was written to its key since
  redis-fallback dead --drop all                   give all of them up, for good

One "in doubt" may have run: to send it again may be a second time. REDIS_URL is needed for --retry alone.

`

// mostListed is how many are shown without --all.
const mostListed = 100

// letterReport is one of them as JSON.
type letterReport struct {
	ID      string    `json:"id"`
	Command string    `json:"command"`
	Keys    []string  `json:"keys"`
	DB      string    `json:"db,omitempty"`
	Error   string    `json:"error"`
	At      time.Time `json:"at"`
	Doubt   bool      `json:"in_doubt"`
	Waiting bool      `json:"sent_again_by_itself"`
	Writes  int       `json:"writes"`
	Tries   int       `json:"tries"`
}

func dead(ctx context.Context, args []string, out, stderr io.Writer) error {
	f := flags("dead", deadUsage, stderr)
	where := placeFlags(f)
	retry := f.String("retry", "", "send the letter of this `ID` again, or all")
	drop := f.String("drop", "", "take the letter of this `ID` away, or all")
	everything := f.Bool("all", false, "list more than "+strconv.Itoa(mostListed))
	asJSON := f.Bool("json", false, "write one JSON array")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 || *retry != "" && *drop != "" {
		return errors.New("usage: redis-fallback dead [--retry ID|all | --drop ID|all | --all] [--json] [--name NAME]")
	}
	store, _, err := where.used(ctx)
	if err != nil {
		return err
	}
	defer store.Client().Close()
	switch {
	case *retry != "":
		return retryLetters(ctx, store, *retry, out)
	case *drop != "":
		return eachLetter(ctx, store, *drop, out, "dropped", store.Drop)
	}
	all, err := store.Letters(ctx, 0)
	if err != nil {
		return fmt.Errorf("local: %w", advice("REDIS_FALLBACK_URL", err))
	}
	if *asJSON {
		return writeLetters(out, all)
	}
	showLetters(out, all, *everything)
	return nil
}

func retryLetters(ctx context.Context, store *journal.Store, id string, out io.Writer) error {
	d, err := deliverer(store)
	if err != nil {
		return err
	}
	defer d.Primary.Close()
	return eachLetter(ctx, store, id, out, "sent again", func(ctx context.Context, id string) error {
		if err := d.Retry(ctx, id); err != nil {
			return explain(err)
		}
		return nil
	})
}

// eachLetter does something with one letter, or with all, and goes on after one that fails.
func eachLetter(ctx context.Context, store *journal.Store, id string, out io.Writer, done string, do func(context.Context, string) error) error {
	ids := []string{id}
	if id == "all" {
		all, err := store.Letters(ctx, 0)
		if err != nil {
			return fmt.Errorf("local: %w", advice("REDIS_FALLBACK_URL", err))
		}
		ids = ids[:0]
		for i := range all {
			ids = append(ids, all[i].ID)
		}
	}
	var first error
	failed := 0
	for _, id := range ids {
		err := do(ctx, id)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if failed++; first == nil {
				first = err
			}
			continue
		}
		fmt.Fprintf(out, "%s  %s\n", done, id)
	}
	switch {
	case first == nil || len(ids) == 1:
		return first
	default:
		return fmt.Errorf("%d of %d failed, the first: %w", failed, len(ids), first)
	}
}

func writeLetters(out io.Writer, all []journal.Letter) error {
	list := make([]letterReport, len(all))
	for i := range all {
		l := &all[i]
		list[i] = letterReport{
			l.ID, l.Args[0], keysOf(l.Args), l.DB, l.Error, l.At, l.Doubt, l.Kind == journal.LetterRefused, max(l.Folded, 1), l.Tries,
		}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(list)
}

func showLetters(out io.Writer, all []journal.Letter, everything bool) {
	if len(all) == 0 {
		fmt.Fprintln(out, "no dead letters")
		return
	}
	shown := all
	if !everything && len(all) > mostListed {
		shown = all[:mostListed]
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tAT\tCOMMAND\tKEY\tDB\tIN DOUBT\tTRIES\tERROR")
	for i := range shown {
		l := &shown[i]
		name, keys := strings.ToUpper(l.Args[0]), keysOf(l.Args)
		if l.Args[0] == journal.DeadlineName {
			name = "expiry"
		}
		for i := range keys {
			keys[i] = plain(keys[i])
		}
		doubt := "no"
		if l.Doubt {
			doubt = "yes"
		}
		db := l.DB
		if db == "" {
			db = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", l.ID, l.At.UTC().Format(time.RFC3339), plain(name),
			strings.Join(keys, " "), db, doubt, l.Tries, plain(l.Error))
	}
	_ = w.Flush()
	if n := len(all) - len(shown); n > 0 {
		fmt.Fprintf(out, "and %d more: --all\n", n)
	}
}

// keysOf returns the keys of a command, as far as its arguments tell.
func keysOf(words []string) []string {
	keys := []string{}
	if words[0] == journal.DeadlineName {
		return append(keys, words[1:]...)
	}
	args := make([]any, len(words))
	for i, word := range words {
		args[i] = word
	}
	at, _ := command.AppendKeys(nil, args)
	for _, i := range at {
		keys = append(keys, words[i])
	}
	return keys
}
