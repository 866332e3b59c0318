package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/redis-fallback/fallback/internal/journal"
)

// bugs are the mistakes that a worker can be told to make, so that the checker can be seen to find
// each.
var bugs = map[string]journal.Bugs{
	"no-compare":  {NoCompare: true},   // the drain does not compare the position
	"no-fence":    {NoFence: true},     // a write on local does not look at the fence
	"swap":        {Swap: true},        // two entries are delivered in the wrong order
	"no-doubt":    {NoDoubt: true},     // what is about to be delivered is not marked in doubt
	"no-deadline": {NoDeadlines: true}, // deadlines are not delivered
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
	journal.Mutate = bug
	return nil
}
