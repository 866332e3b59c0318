package fallback_test

import (
	"time"

	"github.com/redis/go-redis/v9"
)

var serverCalls = map[string]sample{
	"Command":                with(),
	"CommandGetKeys":         with("mget", "a", "b"),
	"CommandGetKeysAndFlags": with("lmove", "a", "b", "left", "right"),
	"CommandList":            with(&redis.FilterBy{Pattern: "xr*"}).but(sorted),
	"ConfigGet":              with("maxmemory*"),
	"DBSize":                 with(),
	"Echo":                   with("hello"),
	"FlushAll":               with(),
	"FlushAllAsync":          with(),
	"FlushDB":                with(),
	"FlushDBAsync":           with(),
	"Info":                   with("server").but(kind),
	"InfoMap":                with("server", "clients").but(kind),
	"LastSave":               with().but(kind),
	"MemoryUsage":            with("l", 0),
	"MemoryUsage missing":    with("missing"),
	"Ping":                   with(),
	"PubSubChannels":         with("*"),
	"PubSubNumPat":           with(),
	"PubSubNumSub":           with("a", "b"),
	"PubSubShardChannels":    with("*"),
	"PubSubShardNumSub":      with("a"),
	"Publish":                with("channel", "message"),
	"SPublish":               with("channel", "message"),
	"Time":                   with().but(kind),

	"Quit": with(), // panics in go-redis
}

// stayingCalls are administration and what belongs to one connection.
var stayingCalls = staying(map[string]sample{
	"ACLCat":                    with().but(sorted),
	"ACLCatArgs":                with(&redis.ACLCatArgs{Category: "geo"}).but(sorted),
	"ACLDelUser":                with("somebody", "nobody").after("ACL SETUSER somebody"),
	"ACLDryRun":                 with("default", "get", "k"),
	"ACLGenPass":                with(64).but(kind),
	"ACLList":                   with().after("ACL DELUSER somebody"),
	"ACLLog":                    with(1).after("AUTH nobody wrong").but(kind),
	"ACLLogReset":               with(),
	"ACLSetUser":                with("somebody", "on", "nopass", "+get").undo("ACL DELUSER somebody"),
	"ACLSetUser wrong":          with("somebody", "nonsense").undo("ACL DELUSER somebody"),
	"ACLUsers":                  with().after("ACL DELUSER somebody"),
	"ACLWhoAmI":                 with(),
	"ClientGetName":             with(),
	"ClientID":                  with().but(kind),
	"ClientInfo":                with().but(kind),
	"ClientKill":                with("127.0.0.1:1"),
	"ClientKillByFilter":        with("ID", "999999999"),
	"ClientList":                with().but(kind),
	"ClientMaintNotifications":  with(true, "127.0.0.1"),
	"ClientPause":               with(time.Millisecond),
	"ClientTracking":            with(true, &redis.ClientTrackingOptions{NoLoop: true}).dirtying(),
	"ClientTrackingOff":         with(),
	"ClientTrackingOn":          with(&redis.ClientTrackingOptions{Bcast: true, Prefixes: []string{"k"}}).dirtying(),
	"ClientTrackingOn redirect": with(&redis.ClientTrackingOptions{Redirect: 999999999}),
	"ClientUnblock":             with(999999999),
	"ClientUnblockWithError":    with(999999999),
	"ClientUnpause":             with(),
	"ConfigResetStat":           with(),
	"ConfigRewrite":             with(),
	"ConfigSet":                 with("slowlog-max-len", "128"),
	"ConfigSet unknown":         with("nonsense", "1"),
	"DebugObject":               with("s").but(masked("at", "lru", "lru_seconds_idle")),
	"FunctionKill":              with(),
	"Latency":                   with().after("CONFIG SET latency-monitor-threshold 1", "DEBUG SLEEP 0.002", "CONFIG SET latency-monitor-threshold 0").but(kind),
	"LatencyReset":              with().after("LATENCY RESET"),
	"ModuleLoadex":              with(&redis.ModuleLoadexConfig{Path: "/nowhere.so"}),
	"ReadOnly":                  with(),
	"ReadWrite":                 with(),
	"ReplicaOf":                 with("no", "one"),
	"Save":                      with(),
	"ScriptFlush":               with(),
	"ScriptKill":                with(),
	"SlaveOf":                   with("no", "one"),
	"SlowLogGet":                with(1).after("SLOWLOG RESET", "CONFIG SET slowlog-log-slower-than 0", "CONFIG SET slowlog-log-slower-than 10000").but(kind),
	"SlowLogLen":                with().after("SLOWLOG RESET"),
	"SlowLogReset":              with(),
	"HImportDiscard":            with("fields"),
	"HImportDiscardAll":         with(),
	"HImportPrepare":            with("fields", "a", "b").dirtying(),
	"HImportSet":                with("k", "fields", "1", "2"),

	// The servers of this test do not let anybody run these: NOPERM is the reply that is compared. A
	// shutdown would end the test, and has one of its own, TestConformanceShutdown; a save in the
	// background outlasts its call, and makes the reply to the next one a matter of luck.
	"BgRewriteAOF":   with(),
	"BgSave":         with(),
	"Shutdown":       with(),
	"ShutdownNoSave": with(),
	"ShutdownSave":   with(),
})

// forbidden is what makes it so.
var forbidden = []string{"--user", "default", "on", "nopass", "~*", "&*", "+@all", "-shutdown", "-bgsave", "-bgrewriteaof"}

// clusterCalls are refused by servers that are none of a cluster: this hook is for those.
var clusterCalls = staying(map[string]sample{
	"ClusterAddSlots":            with(1, 2),
	"ClusterAddSlotsRange":       with(1, 2),
	"ClusterCountFailureReports": with("node"),
	"ClusterCountKeysInSlot":     with(1),
	"ClusterDelSlots":            with(1, 2),
	"ClusterDelSlotsRange":       with(1, 2),
	"ClusterFailover":            with(),
	"ClusterForget":              with("node"),
	"ClusterGetKeysInSlot":       with(1, 2),
	"ClusterInfo":                with(),
	"ClusterKeySlot":             with("k"),
	"ClusterLinks":               with(),
	"ClusterMeet":                with("127.0.0.1", "1"),
	"ClusterMyID":                with(),
	"ClusterMyShardID":           with(),
	"ClusterNodes":               with(),
	"ClusterReplicate":           with("node"),
	"ClusterResetHard":           with(),
	"ClusterResetSoft":           with(),
	"ClusterSaveConfig":          with(),
	"ClusterShards":              with(),
	"ClusterSlaves":              with("node"),
	"ClusterSlots":               with(),
})
