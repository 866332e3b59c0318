package main

import (
	"context"
	"slices"
	"sync"
	"syscall"
	"time"

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

// trap has a drain struck, whichever process does it: the first for the first trap, and so on.
func (t *trial) trap(e event) {
	t.mu.Lock()
	t.traps = append(t.traps, e)
	first := len(t.traps) == 1
	t.mu.Unlock()
	if first {
		t.arm(e)
	}
}

func (t *trial) arm(e event) {
	command := "EXEC"
	if e.fault == drainPause {
		command = "WATCH"
	}
	var once sync.Once
	for i, s := range t.seats {
		s.proxy.At(command, positionMarker, func() quota.Fate {
			fate := quota.Pass
			once.Do(func() {
				t.note("  a drain of process %d meets: %s", i, e)
				fate = t.strikeDrain(e, s)
				t.sprung()
			})
			return fate
		})
	}
}

// sprung arms the next trap, if one waits.
func (t *trial) sprung() {
	t.mu.Lock()
	t.traps = t.traps[1:]
	waiting := slices.Clone(t.traps)
	t.mu.Unlock()
	if len(waiting) > 0 {
		t.arm(waiting[0])
	}
}

func (t *trial) strikeDrain(e event, s *seat) quota.Fate {
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
		return quota.Lose
	case drainSever:
		return quota.Sever
	case drainEvict:
		t.ends.Go(func() {
			time.Sleep(slowBy) // until EXEC has run
			t.failed(t.evict())
		})
		return quota.Lose
	default:
	}
	return quota.Pass
}

// evict deletes the position on the primary, as a server does that is short of memory.
func (t *trial) evict() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rdb := redis.NewClient(t.primary.Options())
	defer rdb.Close()
	keys, err := rdb.Keys(ctx, positionPattern).Result()
	if err != nil || len(keys) == 0 {
		return err
	}
	return rdb.Del(ctx, keys...).Err()
}
