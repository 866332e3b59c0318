package mirror_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// randomCalls are templates of calls. In capitals: K any key; S a string's, C a counter's, P a
// HyperLogLog's, H a hash's, L a list's, E a set's, Z a sorted set's, G a geo set's, X a stream's; V a
// value, N a small number, Q a float, M a member, T a time to live, and so on as in fill.
const randomCalls = `
set S V
set S V
set C N
set S V ex T
set S V px TMS
set S V exat AT
set S V pxat ATMS
set S V pxat 7
set S V keepttl
set S V nx
set S V nx ex T
set S V xx
set S V xx keepttl
set S V get
set S V nx get
set S V xx get
setnx S V
getset S V
setex S T V
psetex S TMS V
mset S V S V
msetnx S V S V
append S V
setrange S N V
setbit S N 1
bitfield C incrby u8 0 N overflow fail incrby u8 8 200
incr C
incr C
incrby C N
incrby C -3
incrby C 0
decr C
decrby C N
decrby C -3
incrbyfloat C Q
getdel S
getex S ex T
getex S pxat ATMS
getex S persist
bitop or S S S
pfadd P M M
pfmerge P P P
del K
del K K
unlink K
expire K T
expire K T
expire K T nx
expire K T xx
expire K T gt
pexpire K TMS lt
expireat K AT
pexpireat K ATMS
expire K -1
persist K
rename K K
renamenx K K
copy K K
copy K K db 0 replace
copy K K db 3 replace
move K 3
RESTORE
RESTORE
hset H M V
hset H M V M V
hset H M N
hmset H M V
hsetnx H M V
hincrby H count N
hincrbyfloat H float Q
hdel H M
rpush L V
rpush L V V
lpush L V V
lpush L V
rpushx L V
lpushx L V
linsert L before V V
lset L 0 V
lrem L N V
ltrim L 0 4
lpop L
rpop L
lpop L N
rpop L N
blpop L L 0.01
brpop L L 0.01
lmpop 2 L L left count N
lmpop 1 L right
blmpop 0.01 2 L L left count 2
lmove L L left right
lmove L L right left
rpoplpush L L
blmove L L left left 0.01
brpoplpush L L 0.01
sort L alpha store L
sadd E M
sadd E M M M
srem E M
spop E
spop E N
smove E E M
smove E E M
sunionstore E E E
sinterstore E E E
zadd Z Q M
zadd Z Q M Q M
zadd Z nx Q M
zadd Z xx ch Q M
zadd Z gt Q M
zadd Z incr Q M
zadd Z nx incr Q M
zincrby Z Q M
zrem Z M
zpopmin Z
zpopmax Z N
bzpopmin Z Z 0.01
bzpopmax Z 0.01
zmpop 2 Z Z min count N
bzmpop 0.01 1 Z max
zremrangebyrank Z 0 0
zremrangebyscore Z 2 3
zremrangebylex Z [a [c
zunionstore Z 2 Z Z
zrangestore Z Z 0 1
geoadd G 1 2 M 2 3 M
geosearchstore G G frommember a byradius 500 km
georadius G 1 2 500 km store G
xadd X * M V
xadd X * M V M V
xadd X * M V
xadd X maxlen 5 * M V
xadd X minid = ID * M V
xadd X nomkstream * M V
xadd X maxlen ~ 1 * M V
xtrim X maxlen 4
xtrim X maxlen ~ 1
xdel X ID
xsetid X 99999999999999-1
xack X GROUP ID ID
xgroup create X GROUP $ mkstream
xgroup create X GROUP 0
xgroup setid X GROUP ID
xgroup createconsumer X GROUP USER
xgroup delconsumer X GROUP USER
xgroup destroy X GROUP
xreadgroup group GROUP USER streams X >
xreadgroup group GROUP USER streams X >
xdel X ID
xdel X ID ID
xautoclaim X GROUP USER 0 0
xadd X * M V
xreadgroup group GROUP USER count N streams X >
xreadgroup group GROUP USER streams X >
xreadgroup group GROUP USER count 1 block 10 streams X >
xreadgroup group GROUP USER count N noack streams X >
xreadgroup group GROUP USER count N streams X 0
xreadgroup group GROUP USER streams x0 x1 > >
xreadgroup group GROUP USER streams x0 x1 > 0
xclaim X GROUP USER 0 ID ID ID
xclaim X GROUP USER 1000000 ID ID
xclaim X GROUP USER 0 ID ID justid
xclaim X GROUP USER 0 ID retrycount 7 force
xautoclaim X GROUP USER 0 0 count 2
xautoclaim X GROUP USER 0 0
xautoclaim X GROUP USER 1000000 0
xautoclaim X GROUP USER 0 0 justid
get S
hgetall H
SCRIPT return_redis.call('set',KEYS[1],'by_script') 1 S
SCRIPT redis.call('set',KEYS[1],'x')return_redis.call('lpush',KEYS[1],'y') 1 S
FLUSHDB
`

// generator makes calls. Streams' ids and payloads come from the server.
type generator struct {
	*rand.Rand
	calls []string
	rdb   *redis.Client
}

func newGenerator(seed uint64, rdb *redis.Client) *generator {
	return &generator{rand.New(rand.NewPCG(seed, 1)), strings.Split(strings.TrimSpace(randomCalls), "\n"), rdb}
}

func (g *generator) key(kind string) string {
	return fmt.Sprintf("%s%d", strings.ToLower(kind), g.IntN(2))
}

// next returns the arguments of a call.
func (g *generator) next(ctx context.Context) []any {
	for {
		line := g.calls[g.IntN(len(g.calls))]
		switch {
		case line == "FLUSHDB":
			if g.IntN(10) == 0 {
				return words("flushdb")
			}
			continue
		case line == "RESTORE":
			payload, err := g.rdb.Dump(ctx, g.fill(ctx, "K", "")).Result()
			if err != nil {
				continue
			}
			ttl := g.fill(ctx, []string{"TMS", "0"}[g.IntN(2)], "")
			return []any{"restore", g.fill(ctx, "K", ""), ttl, payload, "replace"}
		case strings.HasPrefix(line, "SCRIPT"):
			args := words(line)
			args[0], args[1] = "eval", strings.ReplaceAll(args[1].(string), "_", " ")
			args[1] = strings.ReplaceAll(args[1].(string), "by script", "by_script")
			args[3] = g.key("s")
			return args
		}
		if strings.Contains(line, "0.01") && g.IntN(4) != 0 || strings.Contains(line, "block") && g.IntN(4) != 0 {
			continue // a wait in vain takes long
		}
		args := words(line)
		stream := ""
		for i := range args {
			args[i] = g.fill(ctx, args[i].(string), stream)
			if strings.HasPrefix(args[i].(string), "x") && i > 0 && len(args[i].(string)) == 2 {
				stream = args[i].(string)
			}
		}
		return args
	}
}

// fill puts something in the place of a word of a template.
func (g *generator) fill(ctx context.Context, word, stream string) string {
	now := time.Now()
	ttl := 1000 + g.IntN(3)*100
	switch word {
	case "K":
		return g.key(string("SSCPHHLLEEZZGX"[g.IntN(14)]))
	case "S", "C", "P", "H", "L", "E", "Z", "G", "X":
		if g.IntN(40) == 0 {
			return g.fill(ctx, "K", "")
		}
		return g.key(word)
	case "V", "M":
		return string("abcd"[g.IntN(4)])
	case "N":
		return fmt.Sprint(1 + g.IntN(3))
	case "Q":
		return fmt.Sprint(float64(g.IntN(8)) / 2)
	case "T":
		return fmt.Sprint(ttl)
	case "TMS":
		return fmt.Sprint(ttl*1000 + 7)
	case "AT":
		return fmt.Sprint(now.Unix() + int64(ttl))
	case "ATMS":
		return fmt.Sprint(now.UnixMilli() + int64(ttl)*1000)
	case "GROUP":
		return "g"
	case "USER":
		return string("uv"[g.IntN(2)])
	case "ID":
		messages, _ := g.rdb.XRange(ctx, stream, "-", "+").Result()
		pending, _ := g.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: stream, Group: "g", Start: "-", End: "+", Count: 20}).Result()
		ids := []string{"5-1"}
		for _, m := range messages {
			ids = append(ids, m.ID)
		}
		for _, p := range pending {
			ids = append(ids, p.ID)
		}
		return ids[g.IntN(len(ids))]
	}
	return word
}
