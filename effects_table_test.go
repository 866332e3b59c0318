package fallback_test

// effect is a call that is answered by local while it serves, on keys K and L that both servers held
// before as the seed made them.
type effect struct {
	name string
	seed string // calls, separated by ;
	call string
	none bool // it fails or changes nothing: no entry
	odd  bool // nothing that may be queued: it would abort a transaction
	luck bool // chance or a clock is in its reply
	code bool // cannot stand in a script of ours: scripts, and with RESP3 replies that are shown as they came
}

const (
	three  = "RPUSH K a b c"
	ranked = "ZADD K 1 a 2 b 3 c"
	stream = "XADD K 5-1 f v; XADD K 6-1 f w; XGROUP CREATE K g 0"
	read   = stream + "; XREADGROUP GROUP g c1 COUNT 1 STREAMS K >"
	large  = "9007199254740993"
)

// effects has every kind of effect that the journal tells apart.
var effects = []effect{
	{name: "set", call: "SET K v"},
	{name: "set ex", call: "SET K v EX 100"},
	{name: "set px over", seed: "SET K a EX 5000", call: "SET K v PX 200000"},
	{name: "set keepttl", seed: "SET K a EX 5000", call: "SET K v KEEPTTL"},
	{name: "set xx get", seed: "SET K a EX 5000", call: "SET K v XX GET"},
	{name: "set nx", seed: "SET K a", call: "SET K v NX", none: true},
	{name: "setex", call: "SETEX K 100 v"},
	{name: "psetex", call: "PSETEX K 100000 v"},
	{name: "setnx", call: "SETNX K v"},
	{name: "setnx not", seed: "SET K a", call: "SETNX K v", none: true},
	{name: "getset", seed: "SET K a EX 5000", call: "GETSET K v"},
	{name: "expire", seed: "SET K a", call: "EXPIRE K 100"},
	{name: "expire past", seed: "SET K a", call: "EXPIRE K -1"},
	{name: "expire gt not", seed: "SET K a EX 5000", call: "EXPIRE K 10 LT"},
	{name: "expire absent", call: "EXPIRE K 100", none: true},
	{name: "pexpireat", seed: three, call: "PEXPIREAT K 33000000000000"},
	{name: "persist", seed: "SET K a EX 100", call: "PERSIST K"},
	{name: "persist not", seed: "SET K a", call: "PERSIST K", none: true},
	{name: "getex", seed: "SET K a", call: "GETEX K EX 100"},
	{name: "getex persist", seed: "SET K a EX 100", call: "GETEX K PERSIST"},
	{name: "getdel", seed: "SET K a", call: "GETDEL K"},
	{name: "getdel absent", call: "GETDEL K", none: true},
	{name: "append", seed: "SET K a EX 5000", call: "APPEND K b"},
	{name: "setrange", seed: "SET K abc", call: "SETRANGE K 1 x"},
	{name: "setbit", call: "SETBIT K 7 1"},
	{name: "bitfield", call: "BITFIELD K SET i64 0 " + large + " INCRBY u8 0 10", code: true},
	{name: "bitop", seed: "SET K abc", call: "BITOP NOT L K"},
	{name: "mset", call: "MSET K a L b"},
	{name: "msetnx", call: "MSETNX K a L b"},
	{name: "msetnx not", seed: "SET L x", call: "MSETNX K a L b", none: true},
	{name: "del", seed: "SET K a", call: "DEL K L"},
	{name: "unlink", seed: "SET K a", call: "UNLINK K"},
	{name: "incr", seed: "SET K 5 EX 5000", call: "INCR K"},
	{name: "incr large", seed: "SET K " + large, call: "INCR K"},
	{name: "decrby large", seed: "SET K -" + large, call: "DECRBY K 3"},
	{name: "incr text", seed: "SET K text", call: "INCR K", none: true},
	{name: "incrbyfloat", seed: "SET K 0.1", call: "INCRBYFLOAT K 0.2"},
	{name: "rename", seed: "SET K a EX 5000", call: "RENAME K L"},
	{name: "renamenx", seed: "SET K a EX 5000", call: "RENAMENX K L"},
	{name: "renamenx not", seed: "SET K a; SET L b", call: "RENAMENX K L", none: true},
	{name: "rename absent", call: "RENAME K L", none: true},
	{name: "copy", seed: "SET K a EX 5000", call: "COPY K L"},
	{name: "copy not", seed: "SET K a; SET L b", call: "COPY K L", none: true},
	{name: "restore", call: "RESTORE K 100000 PAYLOAD"},
	{name: "sort store", seed: "RPUSH K 3 1 2", call: "SORT K STORE L"},

	{name: "hset", call: "HSET K f v g w"},
	{name: "hsetnx", call: "HSETNX K f v"},
	{name: "hsetnx not", seed: "HSET K f a", call: "HSETNX K f v", none: true},
	{name: "hincrby large", seed: "HSET K f " + large, call: "HINCRBY K f 1"},
	{name: "hincrbyfloat", seed: "HSET K f 0.1", call: "HINCRBYFLOAT K f 0.2"},
	{name: "hdel", seed: "HSET K f v g w", call: "HDEL K f"},

	{name: "lpush", call: "LPUSH K a b"},
	{name: "lpush wrong", seed: "SET K a", call: "LPUSH K a", none: true},
	{name: "lpop", seed: three, call: "LPOP K"},
	{name: "lpop all", seed: three, call: "LPOP K 5"},
	{name: "lpop absent", call: "LPOP K", none: true},
	{name: "rpop", seed: "RPUSH K a b a", call: "RPOP K"},
	{name: "lmpop", seed: three, call: "LMPOP 2 L K RIGHT COUNT 2"},
	{name: "blpop", seed: three, call: "BLPOP L K 1"},
	{name: "blmpop", seed: three, call: "BLMPOP 1 1 K LEFT COUNT 2"},
	{name: "lmove", seed: three, call: "LMOVE K K LEFT RIGHT"},
	{name: "blmove", seed: three, call: "BLMOVE K L LEFT RIGHT 1"},
	{name: "rpoplpush", seed: three, call: "RPOPLPUSH K L"},
	{name: "brpoplpush", seed: three, call: "BRPOPLPUSH K L 1"},
	{name: "linsert", seed: three, call: "LINSERT K BEFORE b x"},
	{name: "lset", seed: three, call: "LSET K 1 x"},
	{name: "ltrim", seed: three, call: "LTRIM K 1 1"},

	{name: "sadd", call: "SADD K a b"},
	{name: "spop", seed: "SADD K a b c d", call: "SPOP K", luck: true},
	{name: "spop many", seed: "SADD K a b c d", call: "SPOP K 3", luck: true},
	{name: "spop all", seed: "SADD K 1 2 3", call: "SPOP K 9", luck: true},
	{name: "spop absent", call: "SPOP K", none: true},
	{name: "smove", seed: "SADD K a b", call: "SMOVE K L a"},
	{name: "sunionstore", seed: "SADD K a b", call: "SUNIONSTORE L K"},

	{name: "zadd incr", seed: ranked, call: "ZADD K INCR 2.5 a"},
	{name: "zadd gt", seed: ranked, call: "ZADD K GT CH 0 a 9 b"},
	{name: "zpopmin", seed: ranked, call: "ZPOPMIN K"},
	{name: "zpopmax", seed: ranked, call: "ZPOPMAX K 2"},
	{name: "bzpopmin", seed: ranked, call: "BZPOPMIN L K 1"},
	{name: "zmpop", seed: ranked, call: "ZMPOP 1 K MAX COUNT 2"},
	{name: "bzmpop", seed: ranked, call: "BZMPOP 1 1 K MIN"},
	{name: "zincrby", seed: ranked, call: "ZINCRBY K 1.5 a"},
	{name: "zrangestore", seed: ranked, call: "ZRANGESTORE L K 0 1"},
	{name: "geoadd", call: "GEOADD K 13.36 38.11 Palermo"},
	{name: "pfadd", call: "PFADD K a b c"},

	{name: "xadd", call: "XADD K * f v", luck: true},
	{name: "xadd partly", call: "XADD K 7-* f v"},
	{name: "xadd maxlen", seed: stream, call: "XADD K MAXLEN 1 * f v", luck: true},
	{name: "xadd small", seed: stream, call: "XADD K 1-1 f v", none: true},
	{name: "xtrim", seed: stream, call: "XTRIM K MAXLEN 1"},
	{name: "xdel", seed: stream, call: "XDEL K 5-1"},
	{name: "xgroup", call: "XGROUP CREATE K g $ MKSTREAM"},
	{name: "xreadgroup", seed: stream, call: "XREADGROUP GROUP g c1 COUNT 1 STREAMS K >"},
	{name: "xreadgroup noack", seed: stream, call: "XREADGROUP GROUP g c1 NOACK STREAMS K >"},
	{name: "xreadgroup block", seed: stream, call: "XREADGROUP GROUP g c1 BLOCK 1000 STREAMS K >"},
	{name: "xack", seed: read, call: "XACK K g 5-1"},
	{name: "xclaim", seed: read, call: "XCLAIM K g c2 0 5-1"},
	{name: "xautoclaim", seed: read, call: "XAUTOCLAIM K g c2 0 0"},

	{name: "eval", call: "EVAL PUT 1 K v", code: true},
	{name: "eval half", call: "EVAL HALF 1 K v", code: true},
	{name: "evalsha", call: "EVALSHA SHA 1 K v", code: true},
	{name: "fcall", call: "FCALL put 1 K v", code: true},
	{name: "fcall absent", call: "FCALL nosuch 1 K", none: true, code: true},
	{name: "arity", call: "SET K", none: true, odd: true},
	{name: "unknown", call: "NOSUCH K 1", none: true, odd: true},
	{name: "read", seed: three, call: "LRANGE K 0 -1", none: true, code: true},
	{name: "publish", call: "PUBLISH K v", none: true, code: true},
}
