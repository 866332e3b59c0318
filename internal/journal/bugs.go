package journal

// Bugs takes rules of the protocol away, so that the tests that must notice it can be seen to notice.
type Bugs struct {
	NoCompare   bool // a batch is not guarded by the comparison with the position
	NoFence     bool // writes do not look at the fence
	Swap        bool // two entries change places
	NoDoubt     bool // batches are not marked before they are sent
	NoDeadlines bool // deadlines are not delivered
}

// Mutate is set by tests, before anything runs, and by nothing else.
var Mutate Bugs

// swap has entries of one key change places, two by two.
func swap(entries []Entry) {
	first := map[string]int{}
	for i := range entries {
		e := &entries[i]
		if len(e.Commands) == 0 || len(e.Commands[0]) < 2 {
			continue
		}
		key := e.Commands[0][1]
		j, ok := first[key]
		if !ok {
			first[key] = i
			continue
		}
		delete(first, key)
		*e, entries[j] = entries[j], *e
		e.ID, entries[j].ID = entries[j].ID, e.ID
	}
}
