package fallback_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/redis/go-redis/v9/push"
)

// overTLS returns an address that leads to addr over TLS, and what a client needs for it.
func overTLS(t *testing.T, addr string) (string, *tls.Config) {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	relay(t, ln, addr, nil)
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return ln.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// relay passes connections on to addr. What through returns for a request is the reply, where it is
// not empty.
func relay(t *testing.T, ln net.Listener, addr string, through func(request []byte) (reply string)) {
	t.Helper()
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", addr) //nolint:noctx // a test
			if err != nil {
				_ = c.Close()
				continue
			}
			t.Cleanup(func() { _ = c.Close() })
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, s)
			}()
			go func() {
				defer s.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if through != nil {
						if reply := through(buf[:n]); reply != "" {
							_, _ = io.WriteString(c, reply)
							continue
						}
					}
					_, _ = s.Write(buf[:n])
				}
			}()
		}
	}()
}

type pushes struct {
	mu  sync.Mutex
	got []string
}

func (p *pushes) HandlePushNotification(_ context.Context, _ push.NotificationHandlerContext, notification []any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, fmt.Sprint(notification...))
	return nil
}

func (p *pushes) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.got, " ")
}

// A handler of the user's gets the primary's pushes, through our connections too.
func TestPushNotificationsPassOurConnections(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		primary := redistest.Start(t)
		o := primary.Options()
		o.Protocol, o.PoolSize = 3, 1
		if secure {
			o.Addr, o.TLSConfig = overTLS(t, primary.Addr())
		}
		rdb := redis.NewClient(o)
		t.Cleanup(func() { _ = rdb.Close() })
		rdb.AddHook(fallback.New(redistest.Start(t).Client(t)))
		got := &pushes{}
		if err := rdb.RegisterPushNotificationHandler("invalidate", got, false); err != nil {
			t.Fatal(err)
		}
		if err := rdb.Do(ctx, "client", "tracking", "on", "noloop").Err(); err != nil {
			t.Fatal(err)
		}
		rdb.Get(ctx, "watched")
		primary.Client(t).Set(ctx, "watched", 1, 0)
		eventually(t, "the push", func() bool {
			if err := rdb.Ping(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			return strings.Contains(got.String(), "watched")
		})
	}
}

// A server that knows nothing of maintenance notifications answers their set-up with an error, which
// is none of the primary's.
func TestMaintNotificationsAreNotCounted(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	o := primary.Options()
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeAuto}
	rdb := redis.NewClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	h := fallback.New(redistest.Start(t).Client(t))
	rdb.AddHook(h)
	for range 10 {
		if err := rdb.Set(ctx, "k", 1, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if st := h.Status(); st.Primary.Failed != 0 || st.Primary.Failures != 0 || st.Refused != 0 || st.Serving != fallback.Primary {
		t.Errorf("%+v", st)
	}
}

// A connection that is handed over to another endpoint is dialed through the hook, and watched.
func TestHandedOverConnectionsAreOurs(t *testing.T) {
	t.Parallel()
	primary, next := redistest.Start(t), redistest.Start(t)
	front := func(addr string, through func([]byte) string) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		relay(t, ln, addr, func(request []byte) string {
			if bytes.Contains(bytes.ToLower(request), []byte("maint_notifications")) {
				return "+OK\r\n"
			}
			return through(request)
		})
		return ln.Addr().String()
	}
	there := front(next.Addr(), func([]byte) string { return "" })
	var told atomic.Bool
	here := front(primary.Addr(), func(request []byte) string {
		if bytes.Contains(request, []byte("move")) && !told.Swap(true) {
			return fmt.Sprintf(">4\r\n$6\r\nMOVING\r\n:1\r\n:30\r\n$%d\r\n%s\r\n$-1\r\n", len(there), there)
		}
		return ""
	})
	o := primary.Options()
	o.Addr, o.Protocol, o.PoolSize = here, 3, 1
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeEnabled, EndpointType: maintnotifications.EndpointTypeExternalIP}
	rdb := redis.NewClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	h := fallback.New(redistest.Start(t).Client(t))
	rdb.AddHook(h)
	next.Client(t).Set(ctx, "where", "next", 0)
	if _, err := rdb.Get(ctx, "move").Result(); err != redis.Nil { //nolint:errorlint // untouched
		t.Fatalf("the command that was told to move: %v", err)
	}
	eventually(t, "the hand-over", func() bool {
		time.Sleep(100 * time.Millisecond) // go-redis does not bear its connection being asked for meanwhile
		return rdb.Get(ctx, "where").Val() == "next"
	})
	if st := h.Status(); st.Primary.Dials < 2 || st.Primary.Failed != 0 || st.Serving != fallback.Primary {
		t.Errorf("the dial of the hand-over did not pass the hook: %+v", st)
	}
}
