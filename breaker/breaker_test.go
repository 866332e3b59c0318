package breaker_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis-fallback/fallback/breaker"
)

// A script is a list of steps, each with the state expected after it.
//
//	s f i: a call that succeeds, fails, is ignored      n: Allow must refuse
//	S F: a result recorded without Allow                 w: the cool-down passes
//	T: Trip   R: Reset
func TestScripts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, steps, states string }{
		{"failures in a row open", "fffff", "cccco"},
		{"a success between starts the count again", "ffffsffff", "ccccccccc"},
		{"what is ignored neither counts nor resets", "ffffif", "ccccco"},
		{"open refuses, then half-open closes on a success", "fffffnws", "ccccoohc"},
		{"half-open opens on a failure", "fffffwfn", "ccccohoo"},
		{"an ignored probe gives its place back", "fffffwiis", "ccccohhhc"},
		{"unasked results count while closed", "FFFFF", "cccco"},
		{"unasked results are dropped while open", "FFFFFSF", "ccccooo"},
		{"unasked results count while half-open", "FFFFFwS", "ccccohc"},
		{"tripped and reset by hand", "TnRs", "oocc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(breaker.Config{})
				states := []rune(c.states)
				for i, step := range c.steps {
					do(t, b, step)
					want := map[rune]breaker.State{'c': breaker.Closed, 'o': breaker.Open, 'h': breaker.HalfOpen}[states[i]]
					if got := b.State(); got != want {
						t.Fatalf("after step %d (%c) of %q: %v, want %v", i+1, step, c.steps, got, want)
					}
				}
			})
		})
	}
}

func do(t *testing.T, b *breaker.Breaker, step rune) {
	t.Helper()
	outcome := map[rune]breaker.Outcome{
		's': breaker.Success, 'S': breaker.Success, 'f': breaker.Failure, 'F': breaker.Failure, 'i': breaker.Ignored,
	}[step]
	switch step {
	case 's', 'f', 'i':
		ticket, ok := b.Allow()
		if !ok {
			t.Fatalf("Allow refused a call in state %v", b.State())
		}
		b.Done(ticket, outcome)
	case 'n':
		if _, ok := b.Allow(); ok {
			t.Fatalf("Allow let a call through in state %v", b.State())
		}
	case 'S', 'F':
		b.Record(outcome)
	case 'w':
		time.Sleep(time.Minute)
	case 'T':
		b.Trip()
	case 'R':
		b.Reset()
	}
}

func TestHalfOpenIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Failures: 1, Probes: 2})
		b.Record(breaker.Failure)
		time.Sleep(time.Minute)
		one, ok1 := b.Allow()
		two, ok2 := b.Allow()
		if _, ok3 := b.Allow(); !ok1 || !ok2 || ok3 {
			t.Fatalf("half-open with 2 probes let through %v %v %v, want true true false", ok1, ok2, ok3)
		}
		b.Done(one, breaker.Success)
		if b.State() != breaker.HalfOpen {
			t.Fatal("closed after one of two successes")
		}
		b.Done(two, breaker.Success)
		if b.State() != breaker.Closed {
			t.Fatal("not closed after two successes")
		}
	})
}

// A failure of a call that began before the breaker was closed again says nothing of now.
func TestStaleResultsAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Failures: 1})
		slow, _ := b.Allow()
		b.Record(breaker.Failure)
		time.Sleep(time.Minute)
		do(t, b, 's')
		b.Done(slow, breaker.Failure)
		if b.State() != breaker.Closed {
			t.Fatalf("a stale failure moved the breaker to %v", b.State())
		}
	})
}

// FuzzMoves drives a breaker with arbitrary steps: only the moves of the diagram may happen.
func FuzzMoves(f *testing.F) {
	f.Add([]byte("fffffwsfffffwf"))
	f.Fuzz(func(t *testing.T, steps []byte) {
		synctest.Test(t, func(t *testing.T) {
			b := breaker.New(breaker.Config{Failures: 3, Cooldown: time.Second, Probes: 2})
			var tickets []breaker.Ticket
			before := b.State()
			for _, s := range steps {
				switch s % 8 {
				case 0, 1:
					if ticket, ok := b.Allow(); ok {
						tickets = append(tickets, ticket)
					} else if before == breaker.Closed {
						t.Fatal("a closed breaker refused")
					}
				case 2, 3, 4:
					if len(tickets) > 0 {
						b.Done(tickets[0], breaker.Outcome(s%3))
						tickets = tickets[1:]
					}
				case 5:
					b.Record(breaker.Outcome(s / 8 % 3))
				case 6:
					time.Sleep(time.Second / 2)
				}
				after := b.State()
				if before == breaker.Closed && after == breaker.HalfOpen {
					t.Fatal("closed became half-open without being open")
				}
				if b.Clean() && after != breaker.Closed {
					t.Fatalf("clean in state %v", after)
				}
				before = after
			}
		})
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	b := breaker.New(breaker.Config{Failures: 3, Cooldown: time.Microsecond, Probes: 3})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				if ticket, ok := b.Allow(); ok {
					b.Done(ticket, breaker.Outcome(rand.IntN(3)))
				}
			}
		})
	}
	wg.Wait()
	time.Sleep(time.Millisecond)
	for range 3 {
		do(t, b, 's')
	}
	if b.State() != breaker.Closed {
		t.Fatalf("half-open places were lost: %v after three successes", b.State())
	}
}

func BenchmarkAllowDone(b *testing.B) {
	b.ReportAllocs()
	br := breaker.New(breaker.Config{})
	for b.Loop() {
		if ticket, ok := br.Allow(); ok {
			br.Done(ticket, breaker.Success)
		}
	}
}

func BenchmarkAllowDoneParallel(b *testing.B) {
	b.ReportAllocs()
	br := breaker.New(breaker.Config{})
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if ticket, ok := br.Allow(); ok {
				br.Done(ticket, breaker.Success)
			}
		}
	})
}

// What has failed in a row is counted until the breaker is closed again.
func TestFailuresAreShownWhileOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Failures: 3})
		for i, step := range []struct {
			do   func()
			want int
		}{
			{func() { b.Record(breaker.Failure) }, 1},
			{func() { b.Record(breaker.Success) }, 0},
			{func() {
				for range 3 {
					b.Record(breaker.Failure)
				}
			}, 3},
			{func() { b.Record(breaker.Failure) }, 3}, // dropped: it is open
			{func() { time.Sleep(time.Minute); b.State() }, 3},
			{func() { b.Record(breaker.Failure) }, 4},
			{func() { time.Sleep(time.Minute); b.Record(breaker.Success) }, 0},
			{b.Trip, 1},
			{b.Reset, 0},
		} {
			if step.do(); b.Failures() != step.want {
				t.Errorf("step %d: %d failures, want %d", i, b.Failures(), step.want)
			}
		}
	})
}
