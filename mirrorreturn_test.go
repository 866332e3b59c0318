package fallback_test

import (
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
)

// What local has begun while it served is whole on the primary after the return, and must not stay in part
// on local, where the next switch would find it.
func TestWhatLocalBeganIsNotLeftInPart(t *testing.T) {
	t.Parallel()
	primary, local := redistest.Start(t), redistest.Start(t)
	p := newProcess(t, primary, local, quick(), withMirror(), fallback.WithLocalCheck(50*time.Millisecond))
	there, here := primary.Client(t), local.Client(t)
	there.HSet(ctx, "session", "user", "ada", "cart", "3") // before the mirror began
	there.Set(ctx, "hits", 41, 0)
	if err := p.rdb.Set(ctx, "page", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := p.h.Pin(fallback.Local); err != nil {
		t.Fatal(err)
	}
	p.rdb.HSet(ctx, "session", "cart", "4")
	p.rdb.Incr(ctx, "hits")
	p.rdb.Append(ctx, "page", "w") // that local held
	p.rdb.Set(ctx, "new", "v", 0)
	if v, err := p.rdb.Get(ctx, "page").Result(); v != "vw" {
		t.Errorf("a page that was written just before the switch: %q, %v", v, err)
	}
	if err := p.h.Pin(fallback.Primary); err != nil {
		t.Fatal(err)
	}
	eventually(t, "local without what it held in part", func() bool {
		session := here.HGetAll(ctx, "session").Val()
		hits := here.Get(ctx, "hits").Val()
		return (len(session) == 0 || len(session) == 2) && (hits == "" || hits == "42")
	})
	if s := there.HGetAll(ctx, "session").Val(); s["user"] != "ada" || s["cart"] != "4" || there.Get(ctx, "hits").Val() != "42" {
		t.Errorf("on the primary: %v", s)
	}
	if a, b := here.Get(ctx, "page").Val(), here.Get(ctx, "new").Val(); a != "vw" || b != "v" {
		t.Errorf("what local held wholly: %q, %q", a, b)
	}
}
