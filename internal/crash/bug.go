package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/mirror"
)

// bugs are the mistakes that a worker can be told to make, so that the checker can be seen to find
// each.
var bugs = map[string]struct {
	journal journal.Bugs
	mirror  mirror.Bugs
}{
	"no-compare":  {journal: journal.Bugs{NoCompare: true}},   // the drain does not compare the position
	"no-fence":    {journal: journal.Bugs{NoFence: true}},     // a write on local does not look at the fence
	"swap":        {journal: journal.Bugs{Swap: true}},        // two entries are delivered in the wrong order
	"no-doubt":    {journal: journal.Bugs{NoDoubt: true}},     // what is about to be delivered is not marked in doubt
	"no-deadline": {journal: journal.Bugs{NoDeadlines: true}}, // deadlines are not delivered
	"keep-unsure": {mirror: mirror.Bugs{KeepUnsure: true}},    // the mirror does not delete keys that it is not sure of
	"no-claims":   {mirror: mirror.Bugs{NoClaims: true}},      // local does not hear what a process is about to write
}

// bugNames lists them.
func bugNames() []string { return slices.Sorted(maps.Keys(bugs)) }

// plantBug puts a mistake into this process, before it makes its hook.
func plantBug(name string) error {
	if name == "" {
		return nil
	}
	bug, ok := bugs[name]
	if !ok {
		return fmt.Errorf("no such bug: %s (there are %v)", name, bugNames())
	}
	journal.Mutate, mirror.Mutate = bug.journal, bug.mirror
	return nil
}
