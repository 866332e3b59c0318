package fallback_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"
)

// rotating is a provider whose credentials change.
type rotating struct {
	mu        sync.Mutex
	now       auth.Credentials
	listeners map[auth.CredentialsListener]bool
}

func (r *rotating) Subscribe(l auth.CredentialsListener) (auth.Credentials, auth.UnsubscribeFunc, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listeners == nil {
		r.listeners = map[auth.CredentialsListener]bool{}
	}
	r.listeners[l] = true
	return r.now, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.listeners, l)
		return nil
	}, nil
}

func (r *rotating) rotate(user, password string) {
	r.mu.Lock()
	r.now = auth.NewBasicCredentials(user, password)
	now := r.now
	var all []auth.CredentialsListener
	for l := range r.listeners {
		all = append(all, l)
	}
	r.mu.Unlock()
	for _, l := range all {
		l.OnNext(now)
	}
}

// A connection that is authenticated anew stays the primary's, whatever serves: its AUTH is not
// replayed, not counted, and the connection works on.
func TestReAuthenticationIsNotOurs(t *testing.T) {
	t.Parallel()
	primary, local := redistest.Start(t), redistest.Start(t)
	admin := primary.Client(t)
	password := func(p string) {
		t.Helper()
		if err := admin.Do(ctx, "acl", "setuser", "app", "on", "resetpass", ">"+p, "~*", "&*", "+@all").Err(); err != nil {
			t.Fatal(err)
		}
	}
	// go-redis authenticates in HELLO, and anew with AUTH.
	auths := func(s *redistest.Server) int { return calls(t, s, "auth") }
	password("one")
	creds := &rotating{now: auth.NewBasicCredentials("app", "one")}
	o := primary.Options()
	o.StreamingCredentialsProvider, o.PoolSize = creds, 1
	rdb := redis.NewClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	h := fallback.New(local.Client(t), fallback.WithLogger((&lines{}).logger()))
	rdb.AddHook(h)
	who := func() string {
		t.Helper()
		v, err := rdb.Do(ctx, "acl", "whoami").Text()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if who() != "app" {
		t.Fatal("the credentials of the provider are not used")
	}
	for _, serving := range []fallback.Backend{fallback.Primary, fallback.Local} {
		h.Pin(serving)
		next, before := "two"+serving.String(), auths(primary)
		password(next)
		creds.rotate("app", next)
		eventually(t, "AUTH on the primary", func() bool {
			_ = who() // go-redis authenticates a connection when it comes back to the pool; ACL stays on the primary
			return auths(primary) > before
		})
		h.Pin(fallback.Primary)
		for range 3 {
			if err := rdb.Incr(ctx, "n").Err(); err != nil {
				t.Errorf("%v served: after the re-authentication: %v", serving, err)
			}
		}
		if who() != "app" {
			t.Errorf("%v served: the connection belongs to %s", serving, who())
		}
	}
	st := h.Status()
	if auths(local) != 0 || local.Get(t, "n") != "" || st.Primary.Failed != 0 || st.Refused != 0 || st.Trips != 0 {
		t.Errorf("AUTH ran %d times on local; %+v", auths(local), st)
	}
}

// One that is refused for a limit is a signal, and nothing to replay.
func TestRefusedReAuthenticationTripsAlone(t *testing.T) {
	t.Parallel()
	primary := fallbacktest.Run(t, fallbacktest.WithPassword("pw"))
	creds := &rotating{now: auth.NewBasicCredentials("default", "pw")}
	p := pairOf(t, primary, fallbacktest.Run(t), func(o *redis.Options) {
		o.Password, o.StreamingCredentialsProvider = "", creds
	})
	if err := p.rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	primary.Exhaust()
	primary.RefuseHandshake(true)
	creds.rotate("default", "pw")
	eventually(t, "the trip", func() bool {
		p.rdb.ConfigGet(ctx, "maxmemory") // is free, stays on the primary, and brings the connection back to the pool
		return p.h.Serving() == fallback.Local
	})
	if n := p.local.Count("AUTH"); n != 0 {
		t.Errorf("AUTH was sent to local %d times", n)
	}
	if n, err := p.rdb.Incr(ctx, "n").Result(); err != nil || n != 1 {
		t.Errorf("local: %d, %v", n, err)
	}
}

// calls returns how often a real server has run a command.
func calls(t *testing.T, s *redistest.Server, command string) int {
	t.Helper()
	stats, err := s.Client(t).Info(ctx, "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if _, after, ok := strings.Cut(stats, "cmdstat_"+command+":calls="); ok {
		for _, c := range after {
			if c < '0' || c > '9' {
				break
			}
			n = 10*n + int(c-'0')
		}
	}
	return n
}
