package command

import (
	"maps"
	"strings"
)

// container marks a command whose first argument decides: its row is "name argument".
const container Class = 1 << 15

// byName is written by hand from the public command reference, Redis 7.0 and later. What is
// missing here is treated as a write that must not run twice, which is always safe.
var byName = build(map[Class]string{
	Read: `get mget strlen getrange substr lcs exists type ttl pttl expiretime pexpiretime keys
		randomkey dump touch object dbsize echo ping time lastsave role info command
		getbit bitcount bitpos bitfield_ro
		hget hmget hgetall hkeys hvals hlen hexists hstrlen hrandfield
		httl hpttl hexpiretime hpexpiretime
		lindex llen lpos lrange
		scard sismember smismember smembers srandmember sinter sintercard sunion sdiff
		zcard zcount zlexcount zrange zrangebyscore zrangebylex zrevrange zrevrangebyscore
		zrevrangebylex zrank zrevrank zscore zmscore zrandmember zinter zintercard zunion zdiff
		geodist geohash geopos geosearch georadius_ro georadiusbymember_ro
		xlen xrange xrevrange xpending pfcount sort_ro
		lolwut digest sdiffcard sunioncard
		arget argetrange armget arcount arlen arnext arinfo arlastitems arop argrep arscan
		json.get json.mget json.type json.strlen json.arrlen json.objlen json.objkeys json.arrindex
		json.resp
		ft.search ft.aggregate ft.hybrid ft.info ft._list ft.aliaslist ft.dictdump ft.syndump
		ft.explain ft.explaincli ft.profile ft.spellcheck ft.tagvals ft.sugget ft.suglen
		bf.exists bf.mexists bf.card bf.info cf.exists cf.mexists cf.count cf.info
		ts.get ts.mget ts.range ts.revrange ts.mrange ts.mrevrange ts.nrange ts.nrevrange ts.info
		ts.queryindex ts.querylabels
		topk.query topk.count topk.list topk.info cms.query cms.info
		tdigest.min tdigest.max tdigest.quantile tdigest.cdf tdigest.rank tdigest.revrank
		tdigest.byrank tdigest.byrevrank tdigest.trimmed_mean tdigest.info
		vsim vdim vcard vemb vgetattr vinfo vlinks vrandmember vismember vrange`,

	Blind: `set mset setex psetex`,

	Judged: `hmset setrange lset ltrim expire pexpire expireat pexpireat getex copy restore zadd
		sinterstore sunionstore sdiffstore zinterstore zunionstore zdiffstore zrangestore
		geosearchstore pfmerge bitop sort georadius georadiusbymember bitfield xsetid`,

	Read | Blocking: `xread wait waitaof ts.read`,

	Blocking: `blpop brpop brpoplpush blmove blmpop bzpopmin bzpopmax bzmpop xreadgroup blmovem`,

	Read | Cursor: `scan hscan sscan zscan`,

	Read | Script | Code: `eval_ro evalsha_ro fcall_ro`,
	Script | Code:        `eval evalsha fcall`,

	Deletes: `del unlink hdel hgetdel srem zrem zremrangebyrank zremrangebyscore zremrangebylex
		getdel xdel xtrim lrem lpop rpop lmpop spop zpopmin zpopmax zmpop flushdb flushall`,

	Session: `hello auth select client readonly readwrite asking reset quit monitor sync psync
		watch unwatch multi exec discard subscribe psubscribe ssubscribe unsubscribe punsubscribe
		sunsubscribe himport`,

	Admin: `replicaof slaveof shutdown failover save bgsave bgrewriteaof debug module acl latency
		slowlog hotkeys cluster replconf pfdebug pfselftest restore-asking`,

	container: `config script function memory xinfo pubsub`,
}, map[string]Class{
	"config get":       Read,
	"config set":       Admin,
	"config rewrite":   Admin,
	"config resetstat": Admin,
	"config help":      Read,

	"script load":   Judged | Code,
	"script exists": Read,
	"script help":   Read,
	"script flush":  Admin,
	"script kill":   Admin,
	"script debug":  Session,

	"function load":    Judged | Code,
	"function list":    Read,
	"function dump":    Read,
	"function stats":   Read,
	"function help":    Read,
	"function kill":    Admin,
	"function delete":  Code,
	"function flush":   0,
	"function restore": 0,

	"memory usage":        Read,
	"memory stats":        Read,
	"memory doctor":       Read,
	"memory help":         Read,
	"memory malloc-stats": Read,
	"memory purge":        Admin,

	"xinfo stream":    Read,
	"xinfo groups":    Read,
	"xinfo consumers": Read,
	"xinfo help":      Read,

	"pubsub channels":      Read,
	"pubsub numsub":        Read,
	"pubsub numpat":        Read,
	"pubsub shardchannels": Read,
	"pubsub shardnumsub":   Read,
	"pubsub help":          Read,
})

func build(groups map[Class]string, rows map[string]Class) map[string]Class {
	m := make(map[string]Class, 320)
	for class, names := range groups {
		for name := range strings.FieldsSeq(names) {
			m[name] = class
		}
	}
	maps.Copy(m, rows)
	return m
}
