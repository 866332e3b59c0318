package fallback

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// wayIn is how a connection to the primary is set up, as it was seen to be: go-redis gives a hook no
// client, and a drain needs a connection of its own. What is remembered is what the client itself holds
// in memory, its password among it; nothing shows it.
type wayIn struct {
	mu   sync.Mutex
	seen bool
	auth *credentials // by a pointer, which is all that %+v of a Hook shows
	db   int
}

type credentials struct{ user, password string }

// sees looks at what sets up a connection.
func (w *wayIn) sees(args []any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case command.Is(args, "hello"):
		w.seen = true
		w.auth = &credentials{}
		for i := 2; i+2 < len(args); i++ {
			if command.Is(args[i:], "auth") {
				w.auth = &credentials{fmt.Sprint(args[i+1]), fmt.Sprint(args[i+2])}
				return
			}
		}
	case command.Is(args, "auth") && len(args) == 2:
		w.seen = true
		w.auth = &credentials{password: fmt.Sprint(args[1])}
	case command.Is(args, "auth") && len(args) == 3:
		w.seen = true
		w.auth = &credentials{fmt.Sprint(args[1]), fmt.Sprint(args[2])}
	case command.Is(args, "select") && len(args) == 2:
		w.db, _ = strconv.Atoi(fmt.Sprint(args[1]))
	}
}

// mostQuits bounds the connections that are ended to see one made.
const mostQuits = 64

// primaryClient returns a client of the primary whose connections are the hook's own. Where none has
// been seen to be set up, because all were made before the hook was added, some are ended until one is.
func (h *Hook) primaryClient(ctx context.Context) (*redis.Client, error) {
	root := h.root.Load()
	if root == nil {
		return nil, ErrNoClient
	}
	h.probing.Add(1)
	defer h.probing.Add(-1)
	for n := 0; h.primary.dialed.Load() == nil || !h.in.known(); n++ {
		if n == mostQuits {
			return nil, errNoWay
		}
		_ = (*root)(ctx, &once{Cmder: redis.NewStatusCmd(ctx, "quit")})
		if err := (*root)(ctx, &once{Cmder: redis.NewStatusCmd(ctx, "ping")}); ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil && h.verdict(nil, err) == Limit {
			return nil, newLimitError(err)
		}
	}
	t := h.primary.dialed.Load()
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	opts := &redis.Options{
		// RESP2: in RESP3 go-redis looks for a push before each of many thousand replies.
		Network: t.network, Addr: t.addr, Protocol: 2,
		Username: h.in.auth.user, Password: h.in.auth.password, DB: h.in.db,
		MaxRetries: -1, PoolSize: 4, DisableIdentity: true, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: drainTimeout, ReadTimeout: drainTimeout, WriteTimeout: drainTimeout,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) { return t.next(ctx, network, addr) },
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	return redis.NewClient(opts), nil
}

// drainTimeout bounds the wait for one batch.
const drainTimeout = 5 * time.Second

func (w *wayIn) known() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}
