package journal

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Durability says what of the acknowledged writes a local that is killed still has.
type Durability string

// What a local keeps. It is empty where the server does not say.
const (
	DurableNone   Durability = "none"   // nothing, or what the last snapshot has
	DurableSecond Durability = "second" // all but the last second or so
	DurableAlways Durability = "always" // everything
)

// Fitness says how well a server does for local. What the server does not tell is zero: many managed
// services forbid CONFIG, and a server made for tests has no such settings at all.
type Fitness struct {
	Version    string // of Redis
	Role       string // "master" or "slave", as INFO has it
	Durability Durability
	MemoryUsed int64  // bytes
	MemoryMax  int64  // bytes; 0: no limit, or not told
	Policy     string // maxmemory-policy
	Replicas   int    // connected
	Databases  int
	Warnings   []Warning
}

// Evicts reports that the server takes keys away by itself when its memory is full.
func (f *Fitness) Evicts() bool {
	return f.MemoryMax > 0 && f.Policy != "" && f.Policy != "noeviction"
}

// Warning is something about a server that can cost acknowledged writes, or is in the way. Neither text
// has a secret in it, nor a key.
type Warning struct {
	Code string // one of a few words, for programs
	Text string // what is wrong, and what comes of it
	Do   string // what to do about it
}

// Examine asks a server whether it will do for local, in one round trip. rdb is a client of it;
// database is the number of the one that the journal is to be in.
//
// The error is that of the connection, or of a server that answers nothing now. What the server refuses
// to tell is no error.
func Examine(ctx context.Context, rdb *redis.Client, database int) (Fitness, error) {
	pipe := rdb.Pipeline()
	info := pipe.Info(ctx)
	config := redis.NewMapStringStringCmd(ctx, "config", "get",
		"maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save", "databases", "min-replicas-to-write")
	_ = pipe.Process(ctx, config)
	// Not requirepass: it is the password itself, and says nothing of one that an ACL file sets.
	user := redis.NewMapStringInterfaceCmd(ctx, "acl", "getuser", "default")
	_ = pipe.Process(ctx, user)
	if _, err := pipe.Exec(ctx); err != nil {
		if outOfRange(err) { // in the handshake: the client is for that database
			return Fitness{Warnings: []Warning{noDatabase(database)}}, nil
		}
		// A server that refuses everything, over a quota of its own say, refuses INFO as well.
		if err := info.Err(); err != nil && !answered(err, "NOPERM ", "ERR unknown command") {
			return Fitness{}, err
		}
		for _, cmd := range []redis.Cmder{config, user} {
			if err := cmd.Err(); err != nil && !answered(err, "NOPERM ", "ERR ") {
				return Fitness{}, err
			}
		}
	}
	a := answers{info: infoFields(info.Val()), config: config.Val(), open: letsIn(rdb.Options(), user)}
	f := a.fitness()
	f.Warnings = a.warnings(f, endpoint{rdb.Options().Network, rdb.Options().Addr}, database)
	return f, nil
}

// answered reports an error reply that begins with one of the prefixes.
func answered(err error, prefixes ...string) bool {
	var reply redis.Error
	return errors.As(err, &reply) &&
		slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(reply.Error(), prefix) })
}

func outOfRange(err error) bool {
	return err != nil && strings.Contains(err.Error(), "DB index is out of range")
}

// answers is what the server said.
type answers struct {
	info   map[string]string
	config map[string]string
	open   bool // no password is asked for
}

// infoFields are those of an INFO reply.
func infoFields(info string) map[string]string {
	m := make(map[string]string)
	for line := range strings.Lines(info) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.HasPrefix(key, "#") {
			m[key] = value
		}
	}
	return m
}

// letsIn reports that whoever reaches the server may use it. The default user's flags say so; where they
// are not told, a client that came in with nothing to show does.
func letsIn(opt *redis.Options, user *redis.MapStringInterfaceCmd) bool {
	if flags, ok := user.Val()["flags"].([]any); ok {
		var on, nopass bool
		for _, flag := range flags {
			on, nopass = on || flag == "on", nopass || flag == "nopass"
		}
		return on && nopass
	}
	return opt.Password == "" && opt.CredentialsProvider == nil && opt.CredentialsProviderContext == nil &&
		opt.StreamingCredentialsProvider == nil && (opt.TLSConfig == nil || len(opt.TLSConfig.Certificates) == 0)
}

func (a answers) fitness() Fitness {
	return Fitness{
		Version:    a.info["redis_version"],
		Role:       a.info["role"],
		Durability: a.durability(),
		MemoryUsed: infoNumber(a.info["used_memory"]),
		MemoryMax:  infoNumber(a.either("maxmemory", "maxmemory")),
		Policy:     a.either("maxmemory_policy", "maxmemory-policy"),
		Replicas:   int(infoNumber(a.info["connected_slaves"])),
		Databases:  int(infoNumber(a.config["databases"])),
	}
}

// either is a field that stands in INFO, or else a setting. INFO may be read where CONFIG is forbidden,
// and says what is rather than what was asked for.
func (a answers) either(field, setting string) string {
	if v, ok := a.info[field]; ok {
		return v
	}
	return a.config[setting]
}

func (a answers) durability() Durability {
	switch a.either("aof_enabled", "appendonly") {
	case "1", "yes":
	case "0", "no":
		return DurableNone
	default:
		return ""
	}
	switch a.config["appendfsync"] {
	case "always":
		return DurableAlways
	case "no": // when the system likes: half a minute, as a rule
		return DurableNone
	}
	return DurableSecond // Redis' own default, where the setting is not told
}

func infoNumber(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // 0 as well for what is not told
	return n
}
