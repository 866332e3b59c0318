package main

import (
	"testing"
	"time"
)

// fight is two processes of 32 goroutines each.
func fight(span time.Duration) settings {
	return settings{span: span, settle: 2 * time.Minute, processes: 2, callers: 32, pause: 20 * time.Millisecond, fight: true}
}

// TestAFightIsMirrored is the short version of go run ./internal/crash -mirror.
func TestAFightIsMirrored(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	needRedis(t)
	s := fight(6 * time.Second)
	s.only = []fault{killWorker, stopWorker, cut, lose, quotaAll, quotaSoon, quotaWrites}
	sum, text := runs(t, s, uint64(time.Now().UnixNano())%1_000_000, 1)
	if sum.bad > 0 || sum.warm.Keys == 0 {
		t.Error(text)
	}
	t.Log(text)
}

// A mirror that deletes every key would be right as well.
func TestACalmFightLeavesKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	needRedis(t)
	s := fight(3 * time.Second)
	s.calm = true
	sum, text := runs(t, s, 1, 1)
	if sum.bad > 0 || sum.warm.Held < 100 || sum.warm.Absent() == 0 || sum.mirror.Unsure == 0 {
		t.Error(text)
	}
}

// Where keys are not deleted of which nothing sure is known, the fight must show it.
func TestKeysThatAreKeptAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	needRedis(t)
	s := fight(3 * time.Second)
	s.calm, s.bug = true, "keep-unsure"
	sum, text := runs(t, s, 1, 1)
	if len(sum.warm.Wrong) == 0 {
		t.Error("no key is wrong\n" + text)
	}
}
