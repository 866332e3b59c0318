// Package embedded gives the examples two Redis servers where none are named in the environment: a metered
// one, whose quota ends again and again, and a second one.
package embedded

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/breaker"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/health"
)

// The quota of the metered server: so many commands in each period.
const (
	quota  = 150
	period = 20 * time.Second
)

// Servers are two Redis servers in this process, or none where the environment names real ones.
type Servers struct {
	hosted, second *fallbacktest.Server
	renewal        *time.Ticker
	stop           chan struct{}
}

// Start starts two servers and sets REDIS_URL and REDIS_FALLBACK_URL to them, and says so on out. It does
// nothing where REDIS_URL, or REDIS__URL, is set. End it with Close.
func Start(out io.Writer) (*Servers, error) {
	if os.Getenv("REDIS_URL")+os.Getenv("REDIS__URL") != "" {
		return &Servers{}, nil
	}
	hosted, err := fallbacktest.Start()
	if err != nil {
		return nil, err
	}
	second, err := fallbacktest.Start()
	if err != nil {
		hosted.Close()
		return nil, err
	}
	s := &Servers{hosted: hosted, second: second, renewal: time.NewTicker(period), stop: make(chan struct{})}
	for name, url := range map[string]string{"REDIS_URL": hosted.URL(), "REDIS_FALLBACK_URL": second.URL()} {
		if err := os.Setenv(name, url); err != nil {
			s.Close()
			return nil, err
		}
	}
	hosted.Quota(quota)
	go s.renew()
	fmt.Fprintf(out, "REDIS_URL is not set: an embedded Redis is used, with a quota of %d commands in %v\n", quota, period)
	return s, nil
}

func (s *Servers) renew() {
	for {
		select {
		case <-s.stop:
			return
		case <-s.renewal.C:
			s.hosted.Quota(quota)
		}
	}
}

// Options are what a hook for embedded servers needs: their quota is back in seconds, and the 5 minutes after
// which a hook looks again by default would hide that. For real servers there are none.
func (s *Servers) Options() []fallback.Option {
	if s.hosted == nil {
		return nil
	}
	return []fallback.Option{
		fallback.WithBreaker(breaker.Config{Cooldown: 2 * time.Second}),
		fallback.WithHealth(health.Config{Hold: 2 * time.Second, MaxHold: 2 * time.Second, Every: 200 * time.Millisecond}),
	}
}

// Close ends the servers.
func (s *Servers) Close() {
	if s.hosted == nil {
		return
	}
	s.renewal.Stop()
	close(s.stop)
	s.hosted.Close()
	s.second.Close()
}
