package mirror_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis-fallback/fallback/internal/mirror"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// complete makes local complete, as a sync does.
func (r *rig) complete(m *mirror.Mirror) {
	r.tb.Helper()
	for _, step := range []func() (bool, error){
		func() (bool, error) { return m.Track(r.ctx) }, func() (bool, error) { return m.Complete(r.ctx) },
	} {
		if done, err := step(); err != nil || !done {
			r.tb.Fatal(done, err)
		}
	}
}

// mortal makes a hash on local that expires soon.
func (r *rig) mortal(m *mirror.Mirror, ms int) {
	r.tb.Helper()
	write(m, del("h"))
	write(m, hset("h", "f", "v"))
	write(m, acked(redis.NewBoolCmd(r.ctx, "pexpire", "h", ms), true))
	r.flush(m)
}

func (r *rig) isUnsure(key string) bool {
	return r.ours.SIsMember(r.ctx, "fallback:test:mirror:unsure", "|"+key).Val()
}

func TestNothingExpiresOnLocalFirst(t *testing.T) {
	t.Parallel()
	r, primary := newRig(t), redistest.Start(t)
	m := r.mirror()
	p := client(t, primary, 0)
	w := writer{p, m}
	at := time.Now().Add(time.Hour)
	w.do(r.ctx, "set", "a", "v", "px", 1_000_000)
	w.do(r.ctx, "set", "b", "v", "pxat", at.UnixMilli())
	w.do(r.ctx, "set", "c", "v")
	w.do(r.ctx, "expire", "c", 1000)
	w.do(r.ctx, "set", "d", "v")
	w.do(r.ctx, "expireat", "d", at.Unix())
	w.do(r.ctx, "restore", "e", 1_000_000, p.Dump(r.ctx, "a").Val())
	r.check(p.Set(r.ctx, "f", "v", time.Hour).Err())
	r.flush(m)
	c := &mirror.Copier{Primary: p, Local: r.ours, Mirror: m, Name: "test", Database: 15}
	if v, err := c.Verify(r.ctx, mirror.VerifyOptions{Repair: true}); err != nil || v.Repaired != 1 || v.Missing != 1 {
		t.Errorf("%v, %+v", err, v)
	}
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		there, here := p.PExpireTime(r.ctx, key).Val(), r.home.PExpireTime(r.ctx, key).Val()
		if here <= there {
			t.Errorf("%s expires at %d ms here, and at %d there", key, here.Milliseconds(), there.Milliseconds())
		}
	}
}

// A write that ran before a key expired, and comes after that, must not make a part of it that stays.
func TestAWriteThatComesAfterTheExpiry(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]redis.Cmder{
		"a part": hset("h", "g", "w"), "a count": incr("h", 2), "a deadline": acked(redis.NewBoolCmd(t.Context(), "expire", "h", 100), true),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := r.mirror()
			r.complete(m)
			r.mortal(m, 1)
			c := m.Begin(late.Args(), "")
			r.until("the key has expired", func() bool { return r.home.Exists(r.ctx, "h").Val() == 0 })
			m.Done(c, "", late)
			r.flush(m)
			if r.home.Exists(r.ctx, "h").Val() != 0 || !r.isUnsure("h") {
				t.Errorf("a key that is gone on the primary: %q", r.home.HGetAll(r.ctx, "h").Val())
			}
			n := 0
			r.until("a key that was nowhere is made", func() bool {
				n++
				key := fmt.Sprint("new", n)
				write(m, hset(key, "f", "v"))
				r.flush(m)
				return r.home.Exists(r.ctx, key).Val() == 1
			})
		})
	}
}

// A write that comes shortly before a key expires here may have met another one on the primary.
func TestAWriteShortlyBeforeTheExpiry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	r.complete(m)
	r.mortal(m, 10)
	write(m, hset("h", "g", "w"))
	r.flush(m)
	if got := r.home.HGetAll(r.ctx, "h").Val(); got["f"] != "" {
		t.Errorf("%q", got)
	}
	// But for one that the primary has done only where the key was there.
	r.until("it came in time", func() bool {
		r.mortal(m, 100)
		write(m, acked(redis.NewBoolCmd(r.ctx, "expire", "h", 100), true))
		r.flush(m)
		return r.home.TTL(r.ctx, "h").Val() > 10*time.Second
	})
}

// Where nobody knows when a deadline is, the key is not kept.
func TestADeadlineOfASlowCall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mirror()
	slow := acked(redis.NewStatusCmd(r.ctx, "set", "k", "v", "ex", 100), "OK")
	c := m.Begin(slow.Args(), "")
	time.Sleep(1100 * time.Millisecond) // the time that it takes is what this is about
	m.Done(c, "", slow)
	r.flush(m)
	r.wants("k", "")
}
