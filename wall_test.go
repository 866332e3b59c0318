package fallback_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// wall stands before a server and refuses new connections once it is raised; those that there are stay.
type wall struct {
	up    atomic.Bool
	dials atomic.Int64
}

func (w *wall) raise() { w.up.Store(true) }
func (w *wall) lower() { w.up.Store(false) }

// guard puts the wall before the server of o.
func (w *wall) guard(o *redis.Options) {
	dial := redis.NewDialer(o)
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		w.dials.Add(1)
		if w.up.Load() {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("no route to host")}
		}
		return dial(ctx, network, addr)
	}
}
