package main

import (
	"hash/maphash"
	"slices"
)

// search is a breadth-first search of every state that can be reached.
type search struct {
	c       *Config
	chunks  [][]State // states in the order of their discovery; in chunks, so that growing copies nothing
	parents []uint32
	table   []uint32 // hash table of index+1
	seed    maphash.Seed

	Full  bool              // it came to its end
	Steps int               // all that were made
	Quiet int               // quiet states
	Found map[string]uint32 // violation -> the first state that has it
	Order []string          // violations in the order of their discovery

	graph *graph // nil: no liveness
}

const chunk = 1 << 14

// explore searches until everything is seen, limit states are, or until reports that a violation ends it.
func explore(c *Config, limit int, live bool, until func(violation string) bool) *search {
	k := &search{c: c, table: make([]uint32, 1<<16), seed: maphash.MakeSeed(), Found: map[string]uint32{}}
	if live {
		k.graph = &graph{}
	}
	k.add(initial(c), 0)
	for i := 0; i < len(k.parents); i++ {
		if len(k.parents) > limit || !k.visit(uint32(i), until) {
			return k
		}
	}
	k.Full = true
	if live {
		k.liveness()
	}
	return k
}

// visit looks at one state and finds its successors. It reports whether to go on.
func (k *search) visit(i uint32, until func(string) bool) bool {
	s := k.state(i)
	quiet := s.quiet(k.c)
	if quiet {
		k.Quiet++
	}
	end := false
	s.violations(k.c, quiet, func(v string) {
		if k.found(v, i) {
			end = end || until(v)
		}
	})
	if end {
		return false
	}
	if k.graph != nil {
		k.graph.node()
	}
	x := steps{c: k.c, s: *s}
	x.out = func(t State, _ string, environment bool) {
		k.Steps++
		if t.np == maxList || t.nl == maxList {
			return // some write ran twice: that has been found, and leads nowhere
		}
		j := k.add(t, i)
		if k.graph != nil {
			k.graph.edge(j, environment)
		}
	}
	x.all()
	return true
}

// found notes a violation, and reports that it is the first of its name.
func (k *search) found(violation string, i uint32) bool {
	if _, known := k.Found[violation]; known {
		return false
	}
	k.Found[violation] = i
	k.Order = append(k.Order, violation)
	return true
}

func (k *search) state(i uint32) *State { return &k.chunks[i/chunk][i%chunk] }

// add returns the index of a state, a new one if it was not known.
func (k *search) add(s State, parent uint32) uint32 {
	if len(k.parents)*2 > len(k.table) {
		k.table = make([]uint32, len(k.table)*2)
		for i := range uint32(len(k.parents)) {
			k.table[k.slot(k.state(i))] = i + 1
		}
	}
	h := k.slot(&s)
	if k.table[h] != 0 {
		return k.table[h] - 1
	}
	i := uint32(len(k.parents))
	if i%chunk == 0 {
		k.chunks = append(k.chunks, make([]State, chunk))
	}
	*k.state(i) = s
	k.parents = append(k.parents, parent)
	k.table[h] = i + 1
	return i
}

// slot is where a state is in the table, or where it belongs.
func (k *search) slot(s *State) uint64 {
	mask := uint64(len(k.table) - 1)
	for h := maphash.Comparable(k.seed, *s) & mask; ; h = (h + 1) & mask {
		if k.table[h] == 0 || *k.state(k.table[h] - 1) == *s {
			return h
		}
	}
}

// trace tells the shortest way to a state.
func (k *search) trace(i uint32) []string {
	var path []uint32
	for ; i != 0; i = k.parents[i] {
		path = append(path, i)
	}
	var lines []string
	x := steps{c: k.c, s: *k.state(0), labels: true}
	for _, i := range slices.Backward(path) {
		want, told := k.state(i), false
		x.out = func(t State, label string, _ bool) {
			if !told && t == *want {
				lines, told = append(lines, label), true
			}
		}
		x.all()
		x.s = *want
	}
	return lines
}
