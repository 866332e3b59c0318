package fallback_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis-fallback/fallback"
	"github.com/redis-fallback/fallback/fallbacktest"
	"github.com/redis-fallback/fallback/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// clientKind is a kind of client and the servers behind it.
type clientKind struct {
	name   string
	client func(*testing.T, *meter) redis.UniversalClient
	get    func(testing.TB, string) string
	nodes  bool // the hook is added to the clients of the nodes too
}

// startKinds starts servers of each kind. Universal clients are made by NewUniversalClient.
func startKinds(t *testing.T, universal bool) []clientKind {
	t.Helper()
	one, group, cluster := redistest.Start(t), redistest.StartGroup(t), redistest.StartCluster(t)
	plain := func(_ *testing.T, m *meter) redis.UniversalClient {
		o := one.Options()
		o.Dialer = m.dial
		if universal {
			return redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{o.Addr}, Dialer: o.Dialer})
		}
		return redis.NewClient(o)
	}
	failover := func(_ *testing.T, m *meter) redis.UniversalClient {
		o := group.Options()
		o.Dialer = m.dial
		if universal {
			return redis.NewUniversalClient(&redis.UniversalOptions{
				Addrs: o.SentinelAddrs, MasterName: o.MasterName, Dialer: o.Dialer,
			})
		}
		return redis.NewFailoverClient(o)
	}
	nodes := func(_ *testing.T, m *meter) redis.UniversalClient {
		o := cluster.Options()
		o.Dialer = m.dial
		if universal {
			return redis.NewUniversalClient(&redis.UniversalOptions{Addrs: o.Addrs, Dialer: o.Dialer})
		}
		return redis.NewClusterClient(o)
	}
	all := []clientKind{
		{name: "client", client: plain, get: one.Get},
		{name: "failover", client: failover, get: group.Get},
		{name: "cluster", client: nodes, get: cluster.Get},
	}
	if !universal {
		all = append(all, clientKind{name: "cluster and nodes", client: nodes, get: cluster.Get, nodes: true})
	}
	return all
}

// Every kind of client is primary and local, and the same script runs on each pair.
func TestKinds(t *testing.T) {
	t.Parallel()
	primaries, locals := startKinds(t, false), startKinds(t, true)
	for _, primary := range primaries {
		for _, local := range locals {
			t.Run(primary.name+" to "+local.name, func(t *testing.T) {
				t.Parallel()
				k := startScript(t, primary, local)
				k.calls(1, 0)
				k.subscribe()
				for i, trip := range []func(){k.tripBySingle, k.tripByPipeline, k.tripByTx, k.tripByWatch} {
					k.meter.exhaust("")
					trip()
					if k.h.Serving() != fallback.Local {
						t.Fatalf("%d: %v serves; status %+v", i, k.h.Serving(), k.h.Status())
					}
					k.calls(i+1, i+1)
					k.meter.renew()
					eventually(t, "the return", func() bool { return k.h.Serving() == fallback.Primary })
					if k.journaled() {
						k.delivered++
					}
					k.calls(i+2, i+1)
				}
				if _, err := k.h.Drain(ctx, 0); errors.Is(err, fallback.ErrNoJournal) == k.journaled() {
					t.Errorf("Drain: %v", err)
				}
				if st := k.h.Status(); st.Trips != 4 || st.Returns != 4 || st.LocalSessions != 0 {
					t.Errorf("%d trips and %d returns, want 4 of each; %d connections held", st.Trips, st.Returns, st.LocalSessions)
				}
			})
		}
	}
}

type kindScript struct {
	*testing.T
	primary, local clientKind
	rdb            redis.UniversalClient
	h              *fallback.Hook
	meter          *meter
	prefix         string
	heard          <-chan *redis.Message
	delivered      int // times that the counters were counted up by the journal
}

// journaled reports whether what local acknowledges reaches the primary.
func (k *kindScript) journaled() bool {
	return !strings.HasPrefix(k.primary.name, "cluster") && !strings.HasPrefix(k.local.name, "cluster")
}

// follows reports whether Watch and Pub/Sub follow the switch: not on a cluster whose nodes' clients do
// not carry the hook.
func (k *kindScript) follows() bool { return k.primary.name != "cluster" }

func (k *kindScript) subscribe() {
	k.Helper()
	if k.follows() {
		ps := k.rdb.Subscribe(ctx, k.key("c"))
		k.Cleanup(func() { _ = ps.Close() })
		confirmed(k.T, ps)
		k.heard = ps.Channel()
	}
}

func startScript(t *testing.T, primary, local clientKind) *kindScript {
	t.Helper()
	k := &kindScript{T: t, primary: primary, local: local, meter: &meter{}, prefix: t.Name()}
	k.rdb = primary.client(t, k.meter)
	back := local.client(t, &meter{})
	// A name of its own: some pairs have one local, and other primaries.
	k.h = fallback.New(back, fallback.WithLogger((&lines{}).logger()), fallback.WithName(t.Name()), quick(),
		fallback.WithMirror(fallback.MirrorConfig{Bytes: -1})) // a warm local does not show who was written to
	if primary.nodes {
		k.h.AddToCluster(k.rdb.(*redis.ClusterClient))
	} else {
		k.rdb.AddHook(k.h)
	}
	t.Cleanup(func() {
		_ = k.h.Shutdown(ctx)
		_ = k.rdb.Close()
		_ = back.Close()
	})
	return k
}

// key returns a key; those of one hash tag lie in one slot, other keys all over the cluster.
func (k *kindScript) key(name string) string { return k.prefix + ":" + name }

// calls makes one call of each sort, and looks what the counters of both servers are then. onPrimary is
// what the primary was asked for itself.
func (k *kindScript) calls(onPrimary, onLocal int) {
	k.Helper()
	counted := onPrimary + k.delivered
	server, want := "primary", counted
	if k.h.Serving() == fallback.Local {
		server, want = "local", onLocal
	}
	if err := k.rdb.Set(ctx, k.key("s"), server, 0).Err(); err != nil {
		k.Fatalf("SET on %s: %v", server, err)
	}
	if v, err := k.rdb.Get(ctx, k.key("s")).Result(); v != server || err != nil {
		k.Fatalf("GET on %s: %q, %v", server, v, err)
	}
	if n, err := k.rdb.Incr(ctx, k.key("n")).Result(); int(n) != want || err != nil {
		k.Fatalf("INCR on %s: %d, %v; want %d", server, n, err, want)
	}
	cmds, err := k.rdb.Pipelined(ctx, k.increments(""))
	k.counted("a pipeline on "+server, cmds, err, want)
	cmds, err = k.rdb.TxPipelined(ctx, k.increments("{tag}"))
	k.counted("a transaction on "+server, cmds, err, want)
	names := []string{"n", "0", "5", "{tag}0", "{tag}5"}
	if k.follows() {
		if err := add(k.rdb, k.key("w"), nil); err != nil {
			k.Fatalf("a Watch on %s: %v", server, err)
		}
		names = append(names, "w")
	}
	if k.heard != nil {
		reaches(k.T, "PUBLISH on "+server, func() *redis.IntCmd { return k.rdb.Publish(ctx, k.key("c"), server) }, k.heard, server)
	}
	for _, name := range names {
		want := counted
		if name == "w" {
			want = onPrimary // the journal sets it to what it is on local, the sum of one server
		}
		if p, l := k.primary.get(k, k.key(name)), k.local.get(k, k.key(name)); p != text(want) || l != text(onLocal) {
			k.Fatalf("%s is %q on the primary and %q on local, want %d and %d", name, p, l, want, onLocal)
		}
	}
}

func text(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

const manyKeys = 6

func (k *kindScript) increments(tag string) func(redis.Pipeliner) error {
	return func(pipe redis.Pipeliner) error {
		for i := range manyKeys {
			pipe.Incr(ctx, k.key(tag+fmt.Sprint(i)))
		}
		return nil
	}
}

func (k *kindScript) counted(what string, cmds []redis.Cmder, err error, want int) {
	k.Helper()
	if err != nil {
		k.Fatalf("%s: %v", what, err)
	}
	for i, cmd := range cmds {
		if n, err := cmd.(*redis.IntCmd).Result(); int(n) != want || err != nil {
			k.Fatalf("%s: command %d: %d, %v; want %d", what, i, n, err, want)
		}
	}
}

func (k *kindScript) tripBySingle() {
	k.Helper()
	if n, err := k.rdb.Incr(ctx, k.key("single")).Result(); n != 1 || err != nil {
		k.Fatalf("the INCR that trips: %d, %v", n, err)
	}
}

func (k *kindScript) tripByPipeline() {
	k.Helper()
	cmds, err := k.rdb.Pipelined(ctx, k.increments("pipe"))
	k.counted("the pipeline that trips", cmds, err, 1)
}

func (k *kindScript) tripByTx() {
	k.Helper()
	cmds, err := k.rdb.TxPipelined(ctx, k.increments("{tx}"))
	if k.primary.name == "cluster" { // nobody has made sure that MULTI was not refused alone
		if _, ok := errors.AsType[*fallback.LimitError](err); !ok {
			k.Fatalf("the transaction that trips: %v, want the refusal", err)
		}
		return
	}
	k.counted("the transaction that trips", cmds, err, 1)
}

func (k *kindScript) tripByWatch() {
	k.Helper()
	if !k.follows() {
		k.tripByTx()
		return
	}
	if err := add(k.rdb, k.key("watch"), nil); err != nil || k.local.get(k, k.key("watch")) != "1" {
		k.Fatalf("the Watch that trips: %v", err)
	}
}

// overCluster is a plain client of a hosted Redis with a cluster for local.
type overCluster struct {
	hosted  *fallbacktest.Server
	cluster *redistest.Cluster
	rdb     *redis.Client
	h       *fallback.Hook
}

func newPairOver(t *testing.T, c *redistest.Cluster) *overCluster {
	t.Helper()
	p := &overCluster{hosted: fallbacktest.Run(t), cluster: c}
	p.rdb = bareClient(t, p.hosted, nil)
	p.h = fallback.New(c.Client(t), fallback.WithLogger((&lines{}).logger()))
	t.Cleanup(func() { _ = p.h.Shutdown(ctx) })
	p.rdb.AddHook(p.h)
	return p
}
