package fallback_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// Whatever switches meanwhile, each INCR that succeeds has run once, and is on the primary after the last
// return; no other is.
func TestAutoPipelinesAcrossManySwitches(t *testing.T) {
	t.Parallel()
	for _, full := range []bool{false, true} {
		p := newPair(t, quick(), fallback.WithMirror(fallback.MirrorConfig{Bytes: -1})) // what local has counted is by itself
		all := faces(t, p.rdb, full)
		stop := make(chan struct{})
		var flapping sync.WaitGroup
		flapping.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(40 * time.Millisecond):
				}
				if i%2 == 0 {
					p.primary.Exhaust()
				} else {
					p.primary.Renew()
				}
			}
		})
		ok := 0
		eventually(t, "two returns", func() bool {
			for _, ap := range all {
				ok += increments(ap, "n")
			}
			return p.h.Status().Returns >= 2
		})
		close(stop)
		flapping.Wait()
		p.primary.Renew()
		eventually(t, "the last return", func() bool { return p.h.Serving() == fallback.Primary })
		if a, b := number(t, p.primary, "n"), number(t, p.local, "n"); a != ok || a == b || b == 0 {
			t.Errorf("full duplex %v: %d succeeded, %d are on the primary, %d of them from local", full, ok, a, b)
		}
	}
}

// Connections that break in the middle make errors; what has had none has run once, and nothing twice.
func TestAutoPipelinesAcrossBrokenConnections(t *testing.T) {
	t.Parallel()
	for _, full := range []bool{false, true} {
		p := newPair(t, quick())
		all := faces(t, p.rdb, full)
		sent := map[string]*redis.IntCmd{}
		for round := range 20 {
			for face, ap := range all {
				cut := make(chan struct{})
				go func() {
					defer close(cut)
					time.Sleep(time.Millisecond)
					p.primary.Cut()
				}()
				cmds := make([]*redis.IntCmd, 200)
				key := func(i int) string { return fmt.Sprint(face, round, " ", i) }
				var callers sync.WaitGroup
				for c := range 8 { // each waits for its own, so that the blocking face has company too
					callers.Go(func() {
						for i := c; i < len(cmds); i += 8 {
							cmds[i] = ap.Incr(ctx, key(i))
						}
						for i := c; i < len(cmds); i += 8 {
							_ = cmds[i].Err()
						}
					})
				}
				callers.Wait()
				<-cut
				for i, cmd := range cmds {
					sent[key(i)] = cmd
				}
			}
		}
		eventually(t, "the last return", func() bool { return p.h.Serving() == fallback.Primary })
		ok := 0
		for key, cmd := range sent {
			ran := number(t, p.primary, key)
			if cmd.Err() == nil {
				ok++
			}
			if ran > 1 || ran == 0 && cmd.Err() == nil {
				t.Errorf("full duplex %v: an INCR with the error %v ran %d times", full, cmd.Err(), ran)
			}
		}
		if ok == 0 || ok == len(sent) {
			t.Errorf("full duplex %v: %d of %d succeeded: this shows nothing", full, ok, len(sent))
		}
	}
}
