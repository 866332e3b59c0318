package main

import (
	"context"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/crash/quota"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// slowBy is how long a slow network holds each piece of a request: short of every bound that the hook
// has for what is still on its way.
const slowBy = 40 * time.Millisecond

// strike does one fault and ends it.
func (t *trial) strike(e event) {
	victims := t.seats
	if e.who != everybody {
		victims = t.seats[e.who : e.who+1]
	}
	each := func(f func(*quota.Proxy)) {
		for _, s := range victims {
			f(s.proxy)
		}
	}
	switch e.fault {
	case quotaAll, quotaWrites, quotaSoon:
		each(func(p *quota.Proxy) {
			switch e.fault {
			case quotaAll:
				p.Refuse(quota.All)
			case quotaWrites:
				p.Refuse(quota.Writes)
			default:
				p.Allow(e.n)
			}
		})
		time.Sleep(e.last)
		each(func(p *quota.Proxy) { p.Refuse(quota.Nothing) })
	case part:
		each(func(p *quota.Proxy) { p.Part(true) })
		time.Sleep(e.last)
		each(func(p *quota.Proxy) { p.Part(false) })
	case slow:
		each(func(p *quota.Proxy) { p.Delay(slowBy) })
		time.Sleep(e.last)
		each(func(p *quota.Proxy) { p.Delay(0) })
	case cut:
		each((*quota.Proxy).Cut)
	case lose:
		each(func(p *quota.Proxy) { p.LoseReplies(e.n) })
	case killWorker:
		for _, s := range victims {
			s.process().kill()
		}
		time.Sleep(e.last)
		for _, s := range victims {
			t.failed(t.fill(s))
		}
	case stopWorker:
		for _, s := range victims {
			s.process().signal(syscall.SIGSTOP)
		}
		time.Sleep(e.last)
		for _, s := range victims {
			s.process().signal(syscall.SIGCONT)
		}
	case sleepOver:
		t.sleep(e)
	case killLocal, killPrimary:
		s := t.server(e)
		s.Kill()
		time.Sleep(e.last)
		t.failed(s.Again())
	case stopLocal, stopPrimary:
		s := t.server(e)
		s.Hang()
		time.Sleep(e.last)
		s.Resume()
	default:
		t.trap(e)
	}
}

func (t *trial) server(e event) *redistest.Server {
	if e.fault == killLocal || e.fault == stopLocal {
		return t.local
	}
	return t.primary
}

// strikeDrain strikes the drain whose command is on the proxy of a seat. What it returns is as for Proxy.At.
func (t *trial) strikeDrain(e event, s *seat) (fate quota.Fate, then func()) {
	p := s.process()
	switch e.fault {
	case drainHold:
		time.Sleep(e.last)
	case drainStop, drainPause:
		// Half of the time what it has sent waits as well: others go on, and then it arrives.
		p.signal(syscall.SIGSTOP)
		t.ends.Go(func() {
			time.Sleep(e.last)
			p.signal(syscall.SIGCONT)
		})
		if e.fault == drainStop {
			time.Sleep(e.last - e.last/8)
		}
	case drainKill:
		t.ends.Go(func() {
			p.kill()
			time.Sleep(e.last)
			t.failed(t.fill(s))
		})
	case drainLose:
		return quota.Lose, nil
	case drainSever:
		return quota.Sever, nil
	case drainEvict:
		// EXEC has run, and its drainer does not know yet: the batch is in doubt.
		return quota.Lose, t.evict
	case drainPass:
		wake := t.stop(p)
		t.overtake(e, s)
		return quota.Pass, func() { wake(true) }
	default:
	}
	return quota.Pass, nil
}

// overtake has another process deliver what the stopped one was about to. It does not wait for the lease of
// that one: nor does an operator's drain, and what is safe is the comparison with the position.
func (t *trial) overtake(e event, stopped *seat) {
	rdb := redis.NewClient(t.primary.Options())
	defer rdb.Close()
	before := positionOf(rdb)
	moved := func() bool { return positionOf(rdb) != before }
	busy := make([]atomic.Bool, len(t.seats))
	for deadline := time.Now().Add(e.last); time.Now().Before(deadline); {
		for i, s := range t.seats {
			if s == stopped {
				continue
			}
			// One after the other: several drains at once keep each other from getting on.
			if busy[i].CompareAndSwap(false, true) {
				t.ends.Go(func() {
					defer busy[i].Store(false)
					_, _ = s.process().drain(e.last)
				})
			}
			if until(time.Second, moved) { // or it is stopped, or refused
				t.note("  process %d overtakes it", i)
				return
			}
		}
	}
}

// positionOf returns the position that is on the primary, "" if there is none or it does not answer.
func positionOf(rdb *redis.Client) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	keys, err := rdb.Keys(ctx, positionPattern).Result()
	if err != nil || len(keys) == 0 {
		return ""
	}
	return rdb.Get(ctx, keys[0]).Val()
}

// sleep stops a process that writes on local, and wakes it when the primary serves again: what it sends
// then it has decided on before.
func (t *trial) sleep(e event) {
	record := t.record()
	defer record.Close()
	serving := func() string { return record.HGet(context.Background(), stateKey, "serving").Val() }
	var p *process
	if !until(e.last, func() bool { p = t.sleeper(record, serving()); return p != nil }) {
		return
	}
	t.note("  process of worker %d sleeps", p.w.id)
	wake := t.stop(p)
	// The quota of all comes back at the end of the time for faults, if not before: that is waited for.
	back := until(patience, func() bool { return serving() == "primary" })
	t.note("  worker %d wakes; the primary serves: %v", p.w.id, back)
	wake(!back)
}

// stop stops a process until wake is called, which says whether it may still deliver what it had read
// before. One that has slept through a return may not: the position is another.
func (t *trial) stop(p *process) (wake func(delivers bool)) {
	began := time.Now()
	p.signal(syscall.SIGSTOP)
	return func(delivers bool) {
		p.signal(syscall.SIGCONT)
		t.mu.Lock()
		defer t.mu.Unlock()
		if delivers {
			t.stood = max(t.stood, time.Since(began))
		}
	}
}

// sleeper returns a process that writes on local, and that nobody waits for: the one that probes for all
// would keep the others waiting for longer than a run lasts.
func (t *trial) sleeper(record *redis.Client, serving string) *process {
	if serving != "local" {
		return nil
	}
	prober := record.Get(context.Background(), proberKey).Val()
	if prober == "" {
		return nil
	}
	for _, s := range t.seats {
		p := s.process()
		st, err := p.status(time.Second)
		if err != nil || st.Serving != fallback.Local {
			continue
		}
		if !slices.ContainsFunc(st.Processes, func(other fallback.Process) bool { return other.Self && other.ID == prober }) {
			return p
		}
	}
	return nil
}

// evict deletes the position on the primary, as a server does that is short of memory. One that has been
// killed meanwhile keeps it.
func (t *trial) evict() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rdb := redis.NewClient(t.primary.Options())
	defer rdb.Close()
	keys, err := rdb.Keys(ctx, positionPattern).Result()
	if err == nil && len(keys) > 0 {
		err = rdb.Del(ctx, keys...).Err()
	}
	if err != nil {
		t.note("  the position stays: %v", err)
	}
}
