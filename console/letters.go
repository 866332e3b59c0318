package console

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/journal"
)

// Reading dead letters asks local for all of them: not more often than this, nor for longer, nor where there
// are so many that it would be felt.
const (
	lettersEvery = 5 * time.Second
	lettersTime  = 300 * time.Millisecond
	lettersMost  = 1000
)

// letterCount is the dead letters of one command.
type letterCount struct {
	Command string `json:"command"`
	Count   int    `json:"count"`
	InDoubt int    `json:"in_doubt"`
}

// letters counts dead letters by their commands.
type letters struct {
	h *fallback.Hook

	mu    sync.Mutex // protects all below
	at    time.Time  // of the last look
	known []letterCount
}

// counts returns what is known of them, where local says that there are some.
func (l *letters) counts(ctx context.Context, there int64) []letterCount {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case there == 0 || there > lettersMost:
		l.known, l.at = []letterCount{}, time.Time{}
	case time.Since(l.at) >= lettersEvery:
		ctx, cancel := context.WithTimeout(ctx, lettersTime)
		defer cancel()
		l.at = time.Now() // a local that does not answer is not asked the more for it
		if all, err := l.h.DeadLetters(ctx); err == nil {
			l.known = countLetters(all)
		}
	}
	return l.known
}

func countLetters(all []fallback.DeadLetter) []letterCount {
	byName := map[string]letterCount{}
	for i := range all {
		c := letterCount{Command: commandName(all[i].Args)}
		c.Count = byName[c.Command].Count + 1
		c.InDoubt = byName[c.Command].InDoubt
		if all[i].Doubt {
			c.InDoubt++
		}
		byName[c.Command] = c
	}
	list := slices.AppendSeq([]letterCount{}, maps.Values(byName))
	slices.SortFunc(list, func(a, b letterCount) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Command, b.Command)
	})
	return list
}

// commandName is a command's name, if it is one: what an application sent for one may be anything, a secret
// as well.
func commandName(words []string) string {
	if len(words) == 0 {
		return "unknown"
	}
	if words[0] == journal.DeadlineName {
		return "expiry"
	}
	args := make([]any, len(words))
	for i := range words {
		args[i] = words[i]
	}
	if _, known := command.Lookup(args); !known {
		return "unknown"
	}
	return strings.ToUpper(words[0])
}
