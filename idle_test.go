package fallback_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis/go-redis/v9"
)

// A host closes connections that are idle. go-redis looks at plain sockets before it uses them, but
// not through TLS, where its blind retry hides the error: a retry that an INCR must not have.
func TestIdleClosedConnections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		opts    []fallbacktest.Option
		version uint16
		resp    int
	}{
		{"plain", nil, 0, 3},
		{"tls 1.3", []fallbacktest.Option{fallbacktest.WithTLS()}, tls.VersionTLS13, 3},
		{"tls 1.3 resp2", []fallbacktest.Option{fallbacktest.WithTLS()}, tls.VersionTLS13, 2},
		{"tls 1.2", []fallbacktest.Option{fallbacktest.WithTLS()}, tls.VersionTLS12, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := pairOf(t, fallbacktest.Run(t, c.opts...), fallbacktest.Run(t), func(o *redis.Options) {
				o.Protocol = c.resp
				if o.TLSConfig != nil {
					o.TLSConfig.MaxVersion = c.version
				}
			})
			for i := range 30 {
				if err := p.rdb.Incr(ctx, "n").Err(); err != nil {
					t.Fatalf("INCR %d after idleness: %v", i+1, err)
				}
				p.primary.Cut() // as the host does, with TLS' own goodbye
			}
			if n := get(t, p.primary, "n"); n != "30" {
				t.Errorf("n is %s, want 30: each INCR once", n)
			}
			p.serves(t, fallback.Primary)
		})
	}
}

// A pool full of connections that the host has closed costs no error, however many they are.
func TestManyIdleClosedConnections(t *testing.T) {
	t.Parallel()
	p := pairOf(t, fallbacktest.Run(t, fallbacktest.WithTLS()), fallbacktest.Run(t), func(o *redis.Options) { o.PoolSize = 30 })
	conns := make([]*redis.Conn, 30)
	for i := range conns {
		conns[i] = p.rdb.Conn()
		conns[i].Ping(ctx)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	p.primary.Cut()
	time.Sleep(10 * time.Millisecond)
	if v, err := p.rdb.Incr(ctx, "n").Result(); v != 1 || err != nil {
		t.Errorf("INCR over 30 dead connections: %d, %v", v, err)
	}
	p.primary.Cut()
	if v, err := p.rdb.Get(ctx, "n").Result(); v != "1" || err != nil {
		t.Errorf("GET: %q, %v", v, err)
	}
	p.primary.Cut()
	time.Sleep(10 * time.Millisecond)
	if _, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Incr(ctx, "n")
		pipe.Incr(ctx, "n")
		return nil
	}); err != nil || get(t, p.primary, "n") != "3" {
		t.Errorf("a pipeline over dead connections: %v, n %s", err, get(t, p.primary, "n"))
	}
	p.serves(t, fallback.Primary)
}
