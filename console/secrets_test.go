package console_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis/go-redis/v9"
)

// all is everything that the console says at this moment.
func (r *rig) all(t *testing.T) string {
	t.Helper()
	s := openStream(t, r)
	defer s.close()
	return r.get(t, "").Body.String() + r.get(t, "status.json").Body.String() + r.get(t, "healthz").Body.String() + s.next(t)
}

// Neither a password, nor a key, nor a value, nor what was sent for a command's name is shown, whatever the
// servers say and the primary does not take.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	use := func() {
		_ = r.rdb.Set(ctx, secret+":k", secret, 0).Err()
		_ = r.rdb.Do(ctx, secret, secret).Err()
		_ = r.rdb.Publish(ctx, secret, secret).Err()
	}
	shown := func(when string) {
		t.Helper()
		if text := r.all(t); strings.Contains(text, secret) {
			i := strings.Index(text, secret)
			t.Errorf("%s: …%s…", when, text[max(0, i-100):min(len(text), i+100)])
		}
	}
	use()
	shown("at the beginning")
	for _, reply := range []string{"NOPERM " + secret, "MISCONF " + secret, "LOADING " + secret, "ERR unknown command '" + secret + "'"} {
		r.primary.Refuse(reply)
		use()
		shown("the primary says " + reply)
		r.primary.Renew()
		r.local.Refuse(reply)
		use()
		shown("local says " + reply)
		r.local.Renew()
	}
	eventually(t, "local is well", func() bool { return r.h.Status().Local.Breaker == "closed" })
	r.primary.Exhaust()
	use()
	for _, key := range []string{"a", "b"} {
		if err := errors.Join(r.rdb.LPush(ctx, secret+key, secret).Err(), r.primary.Data().Set(secret+key, secret)); err != nil {
			t.Fatal(err)
		}
	}
	shown("over quota")
	r.primary.Renew()
	if _, err := r.h.Drain(ctx, 0); err != nil {
		t.Fatal(err)
	}
	var s status
	eventually(t, "dead letters", func() bool { s = r.status(t); return len(s.DeadLetters) > 0 })
	if l := s.DeadLetters; len(l) != 2 || l[0].Command != "unknown" || l[1].Command != "LPUSH" || l[1].Count != 2 {
		t.Errorf("%+v", l)
	}
	if page := r.get(t, "").Body.String(); !strings.Contains(page, "<dt>LPUSH</dt><dd>2</dd>") || !strings.Contains(page, "redis-fallback dead") {
		t.Error("the page does not tell of the dead letters")
	}
	shown("with dead letters")
	r.primary.Stop()
	r.local.Stop()
	use()
	shown("both gone")
}

// What comes from outside stands in the page as text.
func TestEverythingIsEscaped(t *testing.T) {
	t.Parallel()
	r := newRig(t, fallback.WithName(`<script>x</script>"'`), fallback.WithDetector(func(_ redis.Cmder, err error) fallback.Verdict {
		if err != nil && strings.Contains(err.Error(), "max requests") {
			return fallback.Limit
		}
		return fallback.Unknown
	}))
	r.primary.Refuse(`ERR max requests limit exceeded. <img src=x onerror=y>`)
	r.set(t)
	text := r.all(t)
	if strings.Contains(text, "<script>x") || strings.Contains(text, "<img") || !strings.Contains(text, "&lt;script&gt;") || !strings.Contains(text, "&lt;img") {
		t.Error(text)
	}
}
