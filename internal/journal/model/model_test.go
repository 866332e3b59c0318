package main

import (
	"slices"
	"strings"
	"testing"
)

// few is true where each state is dear: with -short, and under the race detector, which has nothing to
// find in a search by one goroutine.
func few() bool { return testing.Short() || raceDetector }

func all(string) bool { return false }

// The protocol as it is breaks nothing, but for what is known and accepted. Every state is looked at.
func TestProtocol(t *testing.T) {
	t.Parallel()
	if few() {
		t.Skip("millions of states: TestProtocolSmall looks at fewer")
	}
	for _, c := range protocol() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(c.Name, "f") {
				t.Skip("takes about 20 s: go run ./internal/journal/model -run " + c.Name[:2])
			}
			k := explore(&c, 10_000_000, false, all)
			accepted(t, k)
			for _, v := range c.Accept {
				if _, found := k.Found[v]; !found {
					t.Errorf("%s is accepted, and does not occur", v)
				}
			}
		})
	}
}

// The same with fewer writes, and nothing gets stuck.
func TestProtocolSmall(t *testing.T) {
	t.Parallel()
	for _, c := range protocol() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Writes[0], c.Batch = 1, 1
			live := true
			switch c.Name[:2] {
			case "f1", "f4", "h2":
				c.Writes[1] = 0
			case "e2", "n4":
				// Where the position goes after the return, nobody is left to set it: that is the next
				// drain's first step, and no end is owed here.
				c.Writes[1], live = 0, false
			}
			accepted(t, explore(&c, 1_000_000, live, all))
		})
	}
}

func accepted(t *testing.T, k *search) {
	t.Helper()
	if !k.Full {
		t.Errorf("not searched to the end: %d states", len(k.parents))
	}
	for _, v := range k.Order {
		if !slices.Contains(k.c.Accept, v) {
			t.Errorf("%s:\n%s", v, strings.Join(k.trace(k.Found[v]), "\n"))
		}
	}
	t.Log(len(k.parents), "states")
}

// A protocol with a rule less is caught.
func TestMutations(t *testing.T) {
	t.Parallel()
	for _, c := range mutations() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			limit := 10_000_000
			if few() {
				limit = 150_000
			}
			is := func(v string) bool { return strings.HasPrefix(v, c.Finds+" ") }
			live := strings.HasPrefix(c.Finds, "S5")
			if live { // of the whole graph, which few writes keep small
				c.Writes[0], c.Batch = 1, 1
			}
			k := explore(&c, limit, live, is)
			n := slices.IndexFunc(k.Order, is)
			switch {
			case n < 0 && few():
				t.Skipf("%s is not among the first %d states", c.Finds, limit)
			case n < 0:
				t.Fatalf("%s is not found in %d states", c.Finds, len(k.parents))
			}
			if lines := k.trace(k.Found[k.Order[n]]); len(lines) < 5 {
				t.Errorf("the way there is told in %d lines", len(lines))
			}
			t.Log(len(k.parents), "states")
		})
	}
}
