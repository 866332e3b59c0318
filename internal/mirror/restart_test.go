package mirror_test

import (
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
)

func TestAProcessThatWasGivenUpBeginsAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror(func(c *mirror.Config) { c.Timing.Beat = time.Hour })
	write(m, set("a", "1"))
	write(m, set("b", "1"))
	r.flush(m)
	c := m.Begin(set("b", "2").Args(), "")
	r.check(r.ours.Del(r.ctx, "fallback:test:mirror:processes").Err())
	write(m, set("a", "2"))
	r.flush(m)
	m.Done(c, "", set("b", "2"))
	r.flush(m)
	r.wants("a", "", "b", "")
	write(m, set("a", "3"))
	r.flush(m)
	r.wants("a", "3")
	if n := r.ours.HLen(r.ctx, "fallback:test:mirror:processes").Val(); n != 1 {
		t.Errorf("%d processes are known", n)
	}
}

func TestALocalThatLostWhatItAcknowledgedIsEmptied(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	write(m, set("a", "1"))
	write(m, set("b", "1"))
	r.flush(m)
	r.check(r.ours.Save(r.ctx).Err())
	write(m, set("a", "2"))
	r.flush(m)
	r.local.Kill() // the snapshot is older
	r.local.Restart(t)
	r.until("local was emptied", func() bool { return m.Stats().Emptied == 1 })
	r.wants("a", "", "b", "")
	r.settle(m)
	write(m, set("a", "3"))
	r.flush(m)
	r.wants("a", "3")
}

func TestALocalThatNobodyCanVouchForIsEmptied(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	write(m, set("a", "1"))
	r.check(m.Close(r.ctx))
	r.wants("a", "1")
	if n := r.ours.HLen(r.ctx, "fallback:test:mirror:processes").Val(); n != 0 {
		t.Errorf("%d processes are known, and the only one has left", n)
	}
	m = r.mirror()
	r.wants("a", "1") // the same server, and nobody has missed anything
	r.check(m.Close(r.ctx))
	r.check(r.ours.Save(r.ctx).Err())
	r.local.Kill()
	r.local.Restart(t)
	r.mirror()
	r.wants("a", "")
}

func TestAKeyIsClaimedBeforeItIsWritten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	c := m.Begin(set("a", "1").Args(), "")
	claims := func() (n int) {
		for _, key := range r.ours.Keys(r.ctx, "fallback:test:mirror:claims:*").Val() {
			n += int(r.ours.BitCount(r.ctx, key, nil).Val())
		}
		return n
	}
	r.until("local knows", func() bool { return claims() > 0 && m.Claims("a") })
	m.Done(c, "", set("a", "1"))
	r.until("local has forgotten", func() bool { r.flush(m); return claims() == 0 })
	// A server that is gone in between hears it again.
	c = m.Begin(set("a", "1").Args(), "")
	r.local.Kill()
	r.local.Restart(t)
	r.serve("id 1 primary")
	r.until("local knows again", func() bool { return claims() > 0 })
	m.Nothing(c)
}
