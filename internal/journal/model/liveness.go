package main

import "fmt"

// graph holds the successors of each state, one state after the other.
type graph struct {
	starts []uint64
	edges  []uint32 // the top bit: a step of the environment
}

const environment = 1 << 31

func (g *graph) node() { g.starts = append(g.starts, uint64(len(g.edges))) }

func (g *graph) edge(to uint32, byEnvironment bool) {
	if byEnvironment {
		to |= environment
	}
	g.edges = append(g.edges, to)
}

// liveness looks for states from which what must be possible no longer is (S5).
func (k *search) liveness() {
	k.graph.node()
	if i, ok := k.stuck(func(s *State) bool { return s.quiet(k.c) }, true); ok {
		k.found("S5a nothing leads to an end", i)
	}
	for p := range processes {
		if i, ok := k.stuck(func(s *State) bool { return s.w[p].pc != waiting }, false); ok {
			k.found(fmt.Sprintf("S5b p%d waits, and the environment alone can free it", p), i)
		}
		if i, ok := k.stuck(func(s *State) bool { return s.w[p].pc != toLocal && s.w[p].pc != waiting }, false); ok {
			k.found(fmt.Sprintf("S5c p%d's write is fenced for as long as the environment likes", p), i)
		}
	}
}

// stuck returns the first state from which no way leads to a goal; withEnvironment: its steps count.
func (k *search) stuck(goal func(*State) bool, withEnvironment bool) (uint32, bool) {
	g, n := k.graph, len(k.parents)
	each := func(visit func(from int, to uint32)) {
		for i := range n {
			for _, to := range g.edges[g.starts[i]:g.starts[i+1]] {
				if withEnvironment || to&environment == 0 {
					visit(i, to&^environment)
				}
			}
		}
	}
	// The predecessors of each state, by counting first.
	starts := make([]uint64, n+1)
	each(func(_ int, to uint32) { starts[to+1]++ })
	for i := range n {
		starts[i+1] += starts[i]
	}
	before, at := make([]uint32, starts[n]), append([]uint64(nil), starts...)
	each(func(from int, to uint32) {
		before[at[to]] = uint32(from)
		at[to]++
	})
	reaches := make([]bool, n)
	var todo []uint32
	reach := func(i uint32) {
		if !reaches[i] {
			reaches[i] = true
			todo = append(todo, i)
		}
	}
	for i := range uint32(n) {
		if goal(k.state(i)) {
			reach(i)
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, j := range before[starts[i]:starts[i+1]] {
			reach(j)
		}
	}
	for i, ok := range reaches {
		if !ok {
			return uint32(i), true
		}
	}
	return 0, false
}
