package command_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redis-fallback/fallback/internal/command"
	"github.com/redis-fallback/fallback/internal/redistest"
)

// serverCommand is what a server's COMMAND and COMMAND DOCS say of one command.
type serverCommand struct {
	arity int64
	flags []string
	doc   map[string]any
	subs  bool
}

func (c serverCommand) has(flag string) bool { return slices.Contains(c.flags, flag) }

// server7 starts a redis-server, and skips the test where that is not of version 7.0: later ones say
// other things of some commands.
func server7(t *testing.T) *redis.Client {
	t.Helper()
	o := redistest.Start(t).Options()
	o.Protocol = 2
	rdb := redis.NewClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	info, err := rdb.Info(context.Background(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(info, "redis_version:7.0.") {
		t.Skip("redis-server is not of version 7.0, from which the table was made")
	}
	return rdb
}

func slice(t *testing.T, rdb *redis.Client, args ...any) []any {
	t.Helper()
	reply, err := rdb.Do(context.Background(), args...).Slice()
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// askServer returns what the server has, by the names of the table.
func askServer(t *testing.T, rdb *redis.Client) map[string]serverCommand {
	t.Helper()
	all := map[string]serverCommand{}
	var read func(list []any)
	read = func(list []any) {
		for _, c := range list {
			c := c.([]any)
			one := serverCommand{arity: c[1].(int64), subs: len(c[9].([]any)) > 0}
			for _, flag := range c[2].([]any) {
				one.flags = append(one.flags, flag.(string))
			}
			all[strings.ReplaceAll(c[0].(string), "|", " ")] = one
			read(c[9].([]any))
		}
	}
	read(slice(t, rdb, "command"))
	var document func(docs []any)
	document = func(docs []any) {
		for i := 0; i < len(docs); i += 2 {
			name := strings.ReplaceAll(docs[i].(string), "|", " ")
			c := all[name]
			c.doc = pairs(docs[i+1])
			all[name] = c
			if subs, ok := c.doc["subcommands"].([]any); ok {
				document(subs)
			}
		}
	}
	document(slice(t, rdb, "command", "docs"))
	return all
}

func pairs(reply any) map[string]any {
	list := reply.([]any)
	m := map[string]any{}
	for i := 0; i+1 < len(list); i += 2 {
		m[fmt.Sprint(list[i])] = list[i+1]
	}
	return m
}

// otherwise is what the table says, on purpose, where a server of version 7.0 says something else.
var otherwise = map[string]string{
	"eval": "write", "evalsha": "write", "fcall": "write", // a script may write
	"wait": "blocking", // as 7.2 says
}

func TestAsTheServerSays(t *testing.T) {
	t.Parallel()
	says := askServer(t, server7(t))
	for name, c := range says {
		info, ok := command.Lookup(args(name))
		if !ok {
			t.Errorf("%s is not in the table", name)
			continue
		}
		if int64(info.Arity) != c.arity {
			t.Errorf("%s: arity %d, the server says %d", name, info.Arity, c.arity)
		}
		for flag, has := range map[string]bool{
			"write": info.Write, "readonly": info.ReadOnly, "blocking": info.Blocking, "noscript": info.NoScript,
			"no_multi": info.NoMulti, "movablekeys": info.Movable,
		} {
			if otherwise[name] == flag {
				if !has || c.has(flag) {
					t.Errorf("%s: %s is %v, the server says %v, and the table was to say otherwise", name, flag, has, c.has(flag))
				}
			} else if has != c.has(flag) {
				t.Errorf("%s: %s is %v, the server says %v", name, flag, has, c.has(flag))
			}
		}
		if info.Container != c.subs || info.Module || info.Anywhere {
			t.Errorf("%s: %+v, and the server knows subcommands: %v", name, info, c.subs)
		}
		if info.Group != c.doc["group"] {
			t.Errorf("%s: group %s, COMMAND DOCS says %v", name, info.Group, c.doc["group"])
		}
		if since := fmt.Sprintf("%d.%d.", info.Since/100, info.Since%100); !strings.HasPrefix(fmt.Sprint(c.doc["since"]), since) {
			t.Errorf("%s: since %d, COMMAND DOCS says %v", name, info.Since, c.doc["since"])
		}
	}
	for _, name := range command.Names() {
		info, _ := command.Lookup(args(name))
		if _, ok := says[name]; !ok && info.Since <= 700 {
			t.Errorf("the server does not know %s", name)
		}
	}
}

// TestKeysAsTheServerSays compares AppendKeys with COMMAND GETKEYS.
func TestKeysAsTheServerSays(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	rdb := server7(t)
	says := askServer(t, rdb)
	tried := map[string]bool{}
	for _, line := range corpus() {
		name := nameOf(line)
		c, ok := says[name]
		if !ok || c.subs && strings.Contains(line, " ") || strings.HasPrefix(line, "georadius") && strings.Contains(line, "storedist") {
			continue // of a later version, or an unknown subcommand, or with two keys of which one counts
		}
		a := parts(line)
		at, known := command.AppendKeys(nil, a)
		tried[name] = tried[name] || known
		var got []string
		for _, i := range at {
			got = append(got, fmt.Sprint(a[i]))
		}
		if len(a) == 1 { // COMMAND GETKEYS cannot be asked
			if len(got) > 0 {
				t.Errorf("%s: keys %q", line, got)
			}
			continue
		}
		want, err := rdb.Do(ctx, append([]any{"command", "getkeys"}, a...)...).StringSlice()
		none := err != nil && strings.Contains(err.Error(), "has no key arguments")
		switch {
		case !known && err == nil: // more than GETKEYS looked at
			if rdb.Do(ctx, a...).Err() == nil {
				t.Errorf("%s: the keys are not known, and the server runs it", line)
			}
		case known != (err == nil || none), !slices.Equal(got, want):
			t.Errorf("%s: keys %q %v, the server says %q (%v)", line, got, known, want, err)
		}
	}
	for name, c := range says {
		if !tried[name] && !c.subs {
			t.Errorf("no valid call of %s was tried", name)
		}
	}
}
