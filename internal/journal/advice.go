package journal

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// The codes of warnings.
const (
	WarnVersion     = "version"     // older than 7.0
	WarnRole        = "role"        // a replica
	WarnDatabase    = "database"    // the journal's database is not there
	WarnPersistence = "persistence" // what is acknowledged ends with the process
	WarnFile        = "file"        // the append-only file cannot be written
	WarnEviction    = "eviction"    // the journal may be evicted
	WarnExpiring    = "expiring"    // keys with an expiry may be evicted
	WarnMemory      = "memory"      // nearly full
	WarnReplication = "replication" // a failover may lose what was acknowledged
	WarnReplicas    = "replicas"    // too few of them: writes are refused
	WarnPassword    = "password"    // open to whoever reaches it
)

// oldestVersion is the first version of Redis that has what the journal needs, PEXPIRETIME among it.
const oldestVersion = 7

// nearlyFull is the part of its memory beyond which a server is nearly full, in percent. The mirror stops at
// 70: what is used beyond that is the application's, or the journal's already.
const nearlyFull = 80

// endpoint is where a client finds its server.
type endpoint struct{ network, addr string }

// away reports that the server is reached over a network. It is false for what is no address, such as
// the name that a FailoverClient has there.
func (e endpoint) away() bool {
	host, _, err := net.SplitHostPort(e.addr)
	if err != nil || e.network == "unix" || host == "" || host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}

// warnings looks at each thing for itself, the gravest first.
func (a answers) warnings(f Fitness, at endpoint, database int) []Warning {
	var all []Warning
	for _, w := range []*Warning{
		a.version(f), a.role(f), a.database(f, database),
		a.persistence(f), a.file(), a.eviction(f), a.memory(f), a.replication(f), a.replicas(f), a.password(at),
	} {
		if w != nil {
			all = append(all, *w)
		}
	}
	return all
}

func (a answers) version(f Fitness) *Warning {
	major, _, _ := strings.Cut(f.Version, ".")
	if n, err := strconv.Atoi(major); err != nil || n >= oldestVersion {
		return nil
	}
	return &Warning{
		WarnVersion, fmt.Sprintf("Redis %s lacks commands that the journal needs, so that writes will fail while local serves", f.Version),
		"use Redis 7.0 or later, or Valkey",
	}
}

func (a answers) role(f Fitness) *Warning {
	switch {
	case f.Role != "slave":
		return nil
	case a.info["slave_read_only"] == "0":
		return &Warning{
			WarnRole, "local is a replica that takes writes: its master's next synchronisation wipes them out, the journal with them",
			"give New the master, or make this one a master (REPLICAOF NO ONE)",
		}
	}
	return &Warning{
		WarnRole, "local is a read-only replica: it cannot take over",
		"give New the master, or make this one a master (REPLICAOF NO ONE)",
	}
}

func (a answers) database(f Fitness, database int) *Warning {
	switch {
	case a.info["cluster_enabled"] == "1" && database != 0:
		return &Warning{
			WarnDatabase, fmt.Sprintf("local is in cluster mode and has database 0 alone: the journal cannot be in database %d", database),
			"use a server that is not in cluster mode",
		}
	case f.Databases > 0 && database >= f.Databases:
		w := noDatabase(database)
		return &w
	}
	return nil
}

func noDatabase(database int) Warning {
	return Warning{
		WarnDatabase, fmt.Sprintf("local has no database %d, which the journal is to be in", database),
		fmt.Sprintf("set databases to %d or more in its configuration and start it again, or choose another database", database+1),
	}
}

func (a answers) persistence(f Fitness) *Warning {
	if f.Durability != DurableNone {
		return nil
	}
	what := "local writes nothing to disk: when it ends, what it acknowledged and the primary does not have yet is lost"
	do := "set appendonly yes, with appendfsync everysec (the last second may be lost) or always (nothing is)"
	switch {
	case a.either("aof_enabled", "appendonly") != "0" && a.either("aof_enabled", "appendonly") != "no":
		what = "local leaves it to the system when to write to disk (appendfsync no): when its machine ends, half a minute of acknowledged writes may be lost"
		do = "set appendfsync to everysec, or to always"
	case a.config["save"] != "":
		what = "local writes snapshots alone: when it ends, what it acknowledged after the last one is lost"
	}
	return &Warning{WarnPersistence, what, do}
}

func (a answers) file() *Warning {
	if status, told := a.info["aof_last_write_status"]; !told || status == "ok" {
		return nil
	}
	return &Warning{
		WarnFile, "local cannot write its append-only file, and refuses writes until it can",
		"make room on its disk, and look at its log",
	}
}

// eviction matters where there is a limit of memory: without one nothing is evicted. Nothing that the
// journal needs has an expiry, so that the volatile policies leave it alone. What has one of ours is a
// lease, whose end costs double work, and a delivered part of the journal, which is there for a primary
// that rolls back.
func (a answers) eviction(f Fitness) *Warning {
	do := "set maxmemory-policy to noeviction: a write that finds no room is refused then, and nothing is lost"
	switch {
	case f.MemoryMax == 0:
		return nil
	case strings.HasPrefix(f.Policy, "allkeys-"):
		return &Warning{
			WarnEviction, fmt.Sprintf("when its memory is full, local drops any key (%s): the journal, with what the primary does not have yet, is one of them", f.Policy),
			do,
		}
	case strings.HasPrefix(f.Policy, "volatile-"):
		return &Warning{
			WarnExpiring, fmt.Sprintf("when its memory is full, local drops keys that have an expiry (%s): sessions and locks of the application may go before their time, "+
				"and what is kept for a primary that rolls back. The journal itself stays", f.Policy),
			do,
		}
	}
	return nil
}

func (a answers) memory(f Fitness) *Warning {
	if f.MemoryMax == 0 || f.MemoryUsed <= f.MemoryMax/100*nearlyFull {
		return nil
	}
	return &Warning{
		WarnMemory, fmt.Sprintf("local uses %d of %d bytes: there is little room for a journal, and writes are refused when there is none", f.MemoryUsed, f.MemoryMax),
		"raise maxmemory, or keep less on it",
	}
}

// replication: INFO counts the replicas that are not behind only where a number of them is required.
func (a answers) replication(f Fitness) *Warning {
	_, required := a.info["min_slaves_good_slaves"]
	if f.Replicas == 0 || f.Role != "master" || required {
		return nil
	}
	return &Warning{
		WarnReplication, "local's replicas follow behind what it has acknowledged: a failover to one of them loses what was not there yet, of the journal as well",
		"set min-replicas-to-write to 1 and min-replicas-max-lag to a few seconds, which bounds what can be lost",
	}
}

func (a answers) replicas(f Fitness) *Warning {
	good, required := infoNumber(a.info["min_slaves_good_slaves"]), infoNumber(a.config["min-replicas-to-write"])
	if f.Role != "master" || good >= required {
		return nil
	}
	return &Warning{
		WarnReplicas, fmt.Sprintf("local has %d replicas that are not behind, and wants %d (min-replicas-to-write): it refuses every write now", good, required),
		"bring its replicas back, or lower min-replicas-to-write",
	}
}

func (a answers) password(at endpoint) *Warning {
	if !a.open || !at.away() {
		return nil
	}
	return &Warning{
		WarnPassword, "local asks for no password, and is reached over a network: whoever reaches it can read and change all that it holds, the journal too",
		"set a password (requirepass, or an ACL user) and give it to the client, with TLS where the network is not your own",
	}
}
