package journal_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// No password is a warning where a network lies between.
func TestFitnessWithoutAPassword(t *testing.T) {
	t.Parallel()
	open := redistest.Start(t, "--appendonly", "yes")
	shut := redistest.Start(t, "--appendonly", "yes", "--requirepass", secret)
	mute := redistest.Start(t, "--appendonly", "yes")
	setUsers(t, mute, []string{"default -acl"})
	for _, c := range []struct {
		addr, password string
		server         *redistest.Server
		want           []string
	}{
		{"127.0.0.1:6379", "", open, nil},
		{"[::1]:6379", "", open, nil},
		{"localhost:6379", "", open, nil},
		{"FailoverClient", "", open, nil},
		{"10.0.0.7:6379", "", open, []string{"password"}},
		{"redis:6379", "", open, []string{"password"}},
		{"redis:6379", secret, open, []string{"password"}}, // Redis takes any password for a user who has none
		{"redis:6379", secret, shut, nil},
		{"redis:6379", "", mute, []string{"password"}},
		{"127.0.0.1:6379", "", mute, nil},
	} {
		opt := c.server.Options()
		opt.Addr, opt.Password = c.addr, c.password
		opt.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, c.server.Addr())
		}
		if c.password != "" {
			opt.Username = "default"
		}
		rdb := redis.NewClient(opt)
		f, err := journal.Examine(t.Context(), rdb, 15)
		_ = rdb.Close()
		var codes []string
		for _, w := range f.Warnings {
			codes = append(codes, w.Code)
		}
		if err != nil || !slices.Equal(codes, c.want) {
			t.Errorf("%s: %v, warnings %v, want %v", c.addr, err, codes, c.want)
		}
	}
}

// told answers INFO as some other server would.
type told struct {
	info string
	err  error
}

func (h told) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h told) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h told) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if info, ok := cmd.(*redis.StringCmd); ok && h.err == nil {
				info.SetVal(strings.ReplaceAll(h.info, " ", "\r\n"))
			} else {
				cmd.SetErr(cmp.Or[error](h.err, errUnknown))
			}
		}
		return errUnknown
	}
}

// reply is an error reply.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

const errUnknown = reply("ERR unknown command")

func TestFitnessOfOtherServers(t *testing.T) {
	t.Parallel()
	for info, want := range map[string][]string{
		"redis_version:6.2.14":                    {"version"},
		"redis_version:255.255.255":               nil,
		"redis_version:7.2.4 valkey_version:8.0":  nil,
		"redis_version:strange":                   nil,
		"":                                        nil,
		"# Server redis_version":                  nil,
		"aof_enabled:1 aof_last_write_status:err": {"file"},
		"role:slave slave_read_only:1 connected_slaves:3":            {"role"},
		"role:master connected_slaves:3":                             {"replication"},
		"role:master connected_slaves:3 min_slaves_good_slaves:3":    nil,
		"maxmemory:1000 used_memory:800 maxmemory_policy:noeviction": nil,
		"maxmemory:1000 used_memory:801":                             {"memory"},
		"maxmemory:9223372036854775807 used_memory:1":                nil,
	} {
		rdb := redis.NewClient(&redis.Options{})
		rdb.AddHook(told{info: info})
		if _, codes := examine(t, rdb, 15); !slices.Equal(codes, append([]string{}, want...)) {
			t.Errorf("%s: warnings %v, want %v", info, codes, want)
		}
		_ = rdb.Close()
	}
	for _, err := range []error{
		reply("ERR max requests limit exceeded. Limit: 500000, Usage: 500000"), reply("LOADING Redis is loading the dataset in memory"),
		reply("NOAUTH Authentication required."), io.EOF, context.DeadlineExceeded,
	} {
		rdb := redis.NewClient(&redis.Options{})
		rdb.AddHook(told{err: err})
		if f, got := journal.Examine(t.Context(), rdb, 15); !errors.Is(got, err) {
			t.Errorf("%v: %v, %+v", err, got, f)
		}
		_ = rdb.Close()
	}
}
