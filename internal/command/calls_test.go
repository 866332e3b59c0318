package command_test

import (
	"strings"

	"github.com/redis-fallback/fallback/internal/command"
)

// calls has, with those of noteRows, at least one valid call of each command of redis-server 7.0.
const calls = `
acl cat | acl deluser u | acl dryrun u get k | acl genpass | acl getuser u | acl help | acl list | acl load
acl log | acl save | acl setuser u | acl users | acl whoami | asking | auth p | bgrewriteaof | bgsave
bitcount k | bitcount k 0 1 byte | bitfield_ro k get u8 0 | bitpos k 1
client caching yes | client getname | client getredir | client help | client id | client info | client kill a
client list | client no-evict on | client pause 1 | client reply on | client setname n | client tracking on
client trackinginfo | client unblock 1 | client unpause
cluster addslots 1 | cluster addslotsrange 1 2 | cluster bumpepoch | cluster count-failure-reports n
cluster countkeysinslot 1 | cluster delslots 1 | cluster delslotsrange 1 2 | cluster failover | cluster flushslots
cluster forget n | cluster getkeysinslot 1 2 | cluster help | cluster info | cluster keyslot k | cluster links
cluster meet h 1 | cluster myid | cluster nodes | cluster replicas n | cluster replicate n | cluster reset
cluster saveconfig | cluster set-config-epoch 1 | cluster setslot 1 stable | cluster shards | cluster slaves n
cluster slots
command | command count | command docs | command docs get | command getkeys get k
command getkeysandflags get k | command help | command info | command list
config get x | config help | config resetstat | config rewrite | config set a b
dbsize | debug help | discard | dump k | echo m | exec | exists k | exists a b c | expiretime k | failover
eval s 2 a b x y | eval s 0 | eval_ro s 1 a x | evalsha s 1 a | evalsha_ro s 1 a x | fcall f 2 a b | fcall_ro f 1 a
eval s 3 a b | eval s x a | eval s -1 a
function dump | function help | function kill | function list | function stats
geodist k a b | geohash k a | geopos k a b | georadius_ro k 1 1 1 m | georadiusbymember_ro k x 1 m
geosearch k fromlonlat 1 1 byradius 1 m
get k | getbit k 1 | getrange k 0 1 | hello | hello 3 | hexists k f | hget k f | hgetall k | hkeys k | hlen k
hmget k f g | hrandfield k | hscan k 0 | hstrlen k f | hvals k | info | keys x | lastsave
latency doctor | latency graph e | latency help | latency histogram | latency history e | latency latest
latency reset | lcs a b | lcs a b len | lindex k 0 | llen k | lolwut | lpos k a | lrange k 0 1
memory doctor | memory help | memory malloc-stats | memory purge | memory stats | memory usage k | memory usage k samples 1
mget a | mget a b c | migrate h 1 a 0 1 copy replace | migrate h 1 "" 0 1 keys a b
migrate h 1 "" 0 1 copy auth p keys a | migrate h 1 "" 0 1 replace auth2 keys p keys a b | migrate h 1 "" 0 1
module help | module list | module load p | module loadex p | module unload p | monitor | multi
object encoding k | object freq k | object help | object idletime k | object refcount k
pexpiretime k | pfcount a b | pfdebug encode k | pfselftest | ping | ping m | psubscribe p | psync a 1 | pttl k
pubsub channels | pubsub help | pubsub numpat | pubsub numsub c | pubsub shardchannels | pubsub shardnumsub c
punsubscribe | quit | randomkey | readonly | readwrite | replconf | replicaof h 1 | reset | role | save
scan 0 | scan 0 match a* | scard k | script debug no | script exists s | script flush | script help | script kill
sdiff a b | select 1 | shutdown | sinter a b | sintercard 2 a b limit 3 | sintercard 3 a b | sismember k m | slaveof h 1
slowlog get | slowlog help | slowlog len | slowlog reset | smembers k | smismember k a b | sort_ro k
sort_ro k by w get p | srandmember k | sscan k 0 | ssubscribe a b | strlen k | subscribe a b | substr k 0 1
sunion a b | sunsubscribe a | sync | time | touch a b | ttl k | type k | unsubscribe | unwatch | wait 1 0 | watch a b
xinfo consumers k g | xinfo groups k | xinfo help | xinfo stream k | xinfo stream k full | xlen k | xpending k g
xrange k - + | xread streams a b 0 0 | xread count 1 block 5 streams streams 0 
xread streams a b 0 | xread count 1 a b | xrevrange k + -
zcard k | zcount k 0 1 | zdiff 2 a b withscores | zinter 2 a b | zinter 2 a b weights 1 2 | zintercard 2 a b limit 1
zlexcount k - + | zmscore k a | zrandmember k | zrange k 0 1 | zrangebylex k - + | zrangebyscore k 0 1 | zrank k m
zrevrange k 0 1 | zrevrangebylex k + - | zrevrangebyscore k 1 0 | zrevrank k m | zscan k 0 | zscore k m
zunion 2 a b | zunion 3 a b | zunionstore d 3 a b | zunionstore d 0 a
`

// corpus returns the calls of both tables.
func corpus() []string {
	var lines []string
	for row := range strings.Lines(calls) {
		for line := range strings.SplitSeq(row, "|") {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
	}
	for row := range strings.Lines(noteRows) {
		if i := strings.LastIndex(row, "> "); i > 0 {
			lines = append(lines, strings.TrimSpace(row[:i]))
		}
	}
	return lines
}

// parts is args, where "" is an empty argument.
func parts(line string) []any {
	all := args(line)
	for i, a := range all {
		if a == `""` {
			all[i] = ""
		}
	}
	return all
}

// subcommands are the names of the table that have two words.
var subcommands = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range command.Names() {
		if strings.Contains(name, " ") {
			m[name] = true
		}
	}
	return m
}()

// nameOf returns the name that the table has for a call: with the subcommand, where there are some.
func nameOf(line string) string {
	f := strings.Fields(strings.ToLower(line))
	if len(f) > 1 && subcommands[f[0]+" "+f[1]] {
		return f[0] + " " + f[1]
	}
	return f[0]
}
