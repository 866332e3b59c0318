package health_test

import (
	"testing"
	"time"

	"github.com/redis-fallback/fallback/health"
)

func TestHoldGrowsWhileRefusalsGoOn(t *testing.T) {
	t.Parallel()
	p := health.NewPlan(health.Config{})
	now := time.Now()
	last := p.Leave(now, health.Refused)
	if last < 5*time.Minute || last > 6*time.Minute {
		t.Fatalf("first hold %v, want 5 min and a little", last)
	}
	for range 3 {
		now = now.Add(last)
		wait, well := p.Looked(now, health.Refused)
		if well || wait < last*3/2 {
			t.Fatalf("hold after a refused look: %v, well %v; want at least 1.5 times %v", wait, well, last)
		}
		last = wait
	}
	for range 5 {
		last, _ = p.Looked(now, health.Refused)
	}
	if last > time.Hour || last < 54*time.Minute {
		t.Fatalf("hold after many refusals: %v, want about an hour and never more", last)
	}
}

func TestHoldGrowsAcrossAReturnThatDidNotLast(t *testing.T) {
	t.Parallel()
	p := health.NewPlan(health.Config{Successes: 1})
	now := time.Now()
	first := p.Leave(now, health.Refused)
	if _, well := p.Looked(now, health.Answered); !well {
		t.Fatal("not well after the one success asked for")
	}
	again := p.Leave(now.Add(time.Minute), health.Refused)
	if again < first*3/2 {
		t.Errorf("refused a minute after the return: hold %v, want at least 1.5 times %v", again, first)
	}
	p.Looked(now.Add(2*time.Minute), health.Answered)
	fresh := p.Leave(now.Add(3*time.Hour), health.Refused)
	if fresh > 6*time.Minute {
		t.Errorf("refused hours after the return: hold %v, want the first one again", fresh)
	}
}

func TestOneSuccessProvesNothing(t *testing.T) {
	t.Parallel()
	p := health.NewPlan(health.Config{})
	now := time.Now()
	p.Leave(now, health.Refused)
	for i := range 21 { // healthy, healthy, refused, and so on: seen on a real service
		sign := health.Answered
		if i%3 == 2 {
			sign = health.Refused
		}
		if _, well := p.Looked(now, sign); well {
			t.Fatalf("well after look %d of a server that refuses every third", i+1)
		}
	}
	for i := range 3 {
		wait, well := p.Looked(now, health.Answered)
		if well != (i == 2) {
			t.Fatalf("after %d successes in a row: well %v", i+1, well)
		}
		if !well && wait != 5*time.Second {
			t.Fatalf("between successes %v, want 5 s", wait)
		}
	}
}

func TestOutageCoolsDown(t *testing.T) {
	t.Parallel()
	p := health.NewPlan(health.Config{})
	if wait := p.Leave(time.Now(), health.Silent); wait != time.Minute {
		t.Errorf("first look after an outage in %v, want 1 min", wait)
	}
	if wait, _ := p.Looked(time.Now(), health.Silent); wait != time.Minute {
		t.Errorf("next look after a silent one in %v, want 1 min", wait)
	}
}
