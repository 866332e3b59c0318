package main

import (
	"fmt"
	"os"
	"slices"
)

// bugs are the mistakes that a worker can be told to make, so that the checker can be seen to find
// each.
var bugs = []string{
	"no-compare",  // the drain does not compare the position
	"no-fence",    // a write on local does not look at the fence
	"swap",        // two entries are delivered in the wrong order
	"no-doubt",    // what is about to be delivered is not marked in doubt
	"no-deadline", // deadlines are not delivered
}

// bugVariable tells the journal of a worker.
const bugVariable = "REDIS_FALLBACK_CRASH_BUG"

// plantBug puts a mistake into this process, before it makes its hook.
func plantBug(name string) error {
	if name == "" {
		return nil
	}
	if !slices.Contains(bugs, name) {
		return fmt.Errorf("no such bug: %s (there are %v)", name, bugs)
	}
	return os.Setenv(bugVariable, name)
}
