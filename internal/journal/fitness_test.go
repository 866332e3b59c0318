package journal_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis-fallback/fallback/internal/journal"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// examine returns the codes of the warnings as well.
func examine(t *testing.T, rdb *redis.Client, database int) (journal.Fitness, []string) {
	t.Helper()
	f, err := journal.Examine(t.Context(), rdb, database)
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{}
	for _, w := range f.Warnings {
		codes = append(codes, w.Code)
		if w.Text == "" || w.Do == "" || strings.Contains(w.Text+w.Do, secret) {
			t.Errorf("warning %+v", w)
		}
	}
	return f, codes
}

const secret = "a-password-of-a-test"

func TestFitness(t *testing.T) {
	t.Parallel()
	durable := []string{"--appendonly", "yes", "--appendfsync", "always"}
	for name, c := range map[string]struct {
		args       []string // of a server that is fit without them; after "acl", users
		durability journal.Durability
		want       []string
	}{
		"fit":                    {nil, "always", nil},
		"a second":               {[]string{"--appendfsync", "everysec"}, "second", nil},
		"when the system likes":  {[]string{"--appendfsync", "no"}, "none", []string{"persistence"}},
		"nothing on disk":        {[]string{"--appendonly", "no"}, "none", []string{"persistence"}},
		"snapshots":              {[]string{"--appendonly", "no", "--save", "60 1"}, "none", []string{"persistence"}},
		"evicts anything":        {[]string{"--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lfu"}, "always", []string{"eviction"}},
		"evicts what expires":    {[]string{"--maxmemory", "1gb", "--maxmemory-policy", "volatile-ttl"}, "always", []string{"expiring"}},
		"evicts nothing":         {[]string{"--maxmemory", "1gb", "--maxmemory-policy", "noeviction"}, "always", nil},
		"a policy and no limit":  {[]string{"--maxmemory-policy", "allkeys-lru"}, "always", nil},
		"full":                   {[]string{"--maxmemory", "1mb"}, "always", []string{"memory"}},
		"few databases":          {[]string{"--databases", "15"}, "always", []string{"database"}},
		"enough databases":       {[]string{"--databases", "16"}, "always", nil},
		"cluster":                {[]string{"--cluster-enabled", "yes"}, "always", []string{"database"}},
		"a replica":              {[]string{"--replicaof", "127.0.0.1 1"}, "always", []string{"role"}},
		"a replica that writes":  {[]string{"--replicaof", "127.0.0.1 1", "--replica-read-only", "no"}, "always", []string{"role"}},
		"too few replicas":       {[]string{"--min-replicas-to-write", "1"}, "always", []string{"replicas"}},
		"a password":             {[]string{"--requirepass", secret}, "always", nil},
		"CONFIG under no name":   {[]string{"--rename-command", "CONFIG", ""}, "second", nil},
		"a full one, no CONFIG":  {[]string{"--rename-command", "CONFIG", "", "--maxmemory", "1mb", "--maxmemory-policy", "allkeys-lru"}, "second", []string{"eviction", "memory"}},
		"nothing may be asked":   {[]string{"acl", "default -config -acl -info"}, "", nil},
		"one that has a user":    {[]string{"acl", "app on >" + secret + " ~* +@all", "default off"}, "always", nil},
		"a user who may not ask": {[]string{"acl", "app on >" + secret + " ~* +@all -config -acl", "default off"}, "second", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args, users := c.args, []string(nil)
			if len(args) > 0 && args[0] == "acl" {
				args, users = nil, args[1:]
			}
			server := redistest.Start(t, append(slices.Clone(durable), args...)...)
			setUsers(t, server, users)
			opt := server.Options()
			if slices.Contains(args, secret) {
				opt.Password = secret
			}
			if slices.Contains(users, "default off") {
				opt.Username, opt.Password = "app", secret
			}
			rdb := redis.NewClient(opt)
			t.Cleanup(func() { _ = rdb.Close() })
			f, codes := examine(t, rdb, 15)
			if f.Durability != c.durability || !slices.Equal(codes, append([]string{}, c.want...)) {
				t.Errorf("durability %q, warnings %v, want %q and %v\n%+v", f.Durability, codes, c.durability, c.want, f)
			}
			if told := c.durability != ""; told != (f.Version != "") || told != (f.Role != "") || told != (f.MemoryUsed > 0) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// setUsers does ACL SETUSER for each, which a server takes only one by one.
func setUsers(t *testing.T, server *redistest.Server, users []string) {
	t.Helper()
	conn := server.Client(t).Conn()
	defer conn.Close()
	for _, user := range users {
		args := []any{"acl", "setuser"}
		for word := range strings.FieldsSeq(user) {
			args = append(args, word)
		}
		if err := conn.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// A client for the journal's database cannot even connect where there is none.
func TestFitnessWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	opt := redistest.Start(t, "--databases", "4").Options()
	opt.DB = 15
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { _ = rdb.Close() })
	if _, codes := examine(t, rdb, 15); !slices.Equal(codes, []string{"database"}) {
		t.Errorf("warnings %v", codes)
	}
}

// A master with a replica warns until it waits for one.
func TestFitnessWithReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--repl-diskless-sync-delay", "0")
	rdb := server.Client(t)
	_, port, _ := strings.Cut(server.Addr(), ":")
	redistest.Start(t, "--replicaof", "127.0.0.1 "+port)
	deadline := time.Now().Add(20 * time.Second)
	for {
		f, codes := examine(t, rdb, 15)
		if f.Replicas == 1 && slices.Equal(codes, []string{"replication"}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d replicas, warnings %v", f.Replicas, codes)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := rdb.ConfigSet(t.Context(), "min-replicas-to-write", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for {
		_, codes := examine(t, rdb, 15)
		if len(codes) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("warnings %v", codes)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A server made for tests tells nothing of all that, and is left in peace.
func TestFitnessOfAServerThatTellsNothing(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	if f, codes := examine(t, rdb, 15); len(codes) > 0 || f.Durability != "" {
		t.Errorf("%+v", f)
	}
}

func TestFitnessOfNobody(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = rdb.Close() })
	if f, err := journal.Examine(t.Context(), rdb, 15); err == nil {
		t.Errorf("%+v", f)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := journal.Examine(ctx, rdb, 15); err == nil {
		t.Error("no error of a context that is cancelled")
	}
	locked := redistest.Start(t, "--requirepass", secret).Client(t)
	if _, err := journal.Examine(t.Context(), locked, 15); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("without the password: %v", err)
	}
}
