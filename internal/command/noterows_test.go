package command_test

// noteRows have a call, and the Note it has behind the arrow.
const noteRows = `
append k v                       > d 1
bitfield k get u8 0              > n
bitfield k overflow fail get u8 0 get u8 1 > n
bitfield k overflow wrap get u8 0 overflow sat > n
bitfield k set u8 0 1            > M
bitfield k get u8 0 incrby u8 0 1 > M
bitop and d a b                  > d 2
blmove a b left right 0          > b 1:2 timeout=5 filled totail
blmpop 0 2 a b left count 3      > l 3:4 at=7 timeout=1 filled keyed
blmpop 0 2 a b right             > l 3:4 timeout=1 filled tail keyed
blmpop 0 9 a b right             > M
blpop a b 0                      > l 1:2 timeout=3 filled keyed
brpop a 0                        > l 1 timeout=2 filled tail keyed
brpoplpush a b 0                 > b 1:2 timeout=3 filled tail
bzmpop 0 1 a max                 > z 3 timeout=1 filled tail keyed
bzmpop 0 1 a min count 2          > z 3 at=6 timeout=1 filled keyed
bzpopmax a b 0                   > z 1:2 timeout=3 filled tail keyed
bzpopmin a 0                     > z 1 timeout=2 filled keyed
copy a b                         > d 2 positive
copy a b replace                 > d 2 positive
COPY a b DB 3 REPLACE            > d 2 option=4 positive
copy a b db                      > M
copy a b nosuch                  > M
decr k                           > i 1
decrby k 2                       > i 1
del k                            > v 1
del a b c                        > v 1:3
eval s 1 k                       > M
evalsha s 1 k                    > M
fcall f 1 k                      > M
expire k 10                      > e 1 positive expires
expire k 10 nx                   > e 1 positive expires
expireat k 10                    > e 1 positive expires
pexpire k 10                     > e 1 positive expires
pexpireat k 10                   > e 1 positive expires
persist k                        > e 1 positive persist
flushall                         > F
flushall async                   > F
flushdb                          > v
function load x                  > n
function delete x                > M
function flush                   > M
function restore x               > M
geoadd k 1 1 m                   > d 1
georadius k 1 1 1 m              > n
georadius k 1 1 1 m withcoord count 3 asc > n
georadius k 1 1 1 km withdist withhash count 3 any desc > n
georadius k 1 1 1 ft             > n
georadius k 1 1 1 mi             > n
georadius k 1 1 1 m count 3 store d > d 9
georadius k 1 1 1 m store d storedist e > d 9
georadius k 1 1 1 m nosuch       > M
georadiusbymember k x 1 m store d > d 6
georadiusbymember k x 1 km withcoord withdist withhash count 3 any asc > n
georadiusbymember k x 1 ft desc  > n
georadiusbymember k x 1 mi storedist d > d 6
georadiusbymember k x 1 m        > n
geosearchstore d k fromlonlat 1 1 byradius 1 m > d 1
getdel k                         > g 1 filled
getex k                          > n
getex k ex 10                    > e 1 filled expires
getex k px 10                    > e 1 filled expires
getex k exat 10                  > e 1 filled expires
getex k pxat 10                  > e 1 filled expires
GETEX k PERSIST                  > e 1 filled persist
getex k nosuch                   > M
getset k v                       > s 1 at=2 get
hdel k f                         > v 1
hincrby k f 1                    > i 1
hincrbyfloat k f 1               > d 1
hmset k f v                      > d 1
hset k f v                       > d 1
HSET k f v                       > d 1
hsetnx k f v                     > h 1 positive
incr k                           > i 1
incrby k 1                       > i 1
incrbyfloat k 1                  > d 1
linsert k before p v             > d 1 positive
lmove a b RIGHT LEFT             > b 1:2 filled tail
lmove a b left nosuch            > M
lmpop 1 a left                   > l 2 filled keyed
lmpop 2 a b right count 2        > l 2:3 at=6 filled tail keyed
lmpop 1 a left nosuch 2          > M
lmpop 1 a nosuch                 > M
lmpop x a left                   > M
lpop k                           > l 1 filled
lpop k 2                         > l 1 at=2 filled
lpush k a b                      > d 1
lpushx k a                       > d 1 positive
lrem k 0 v                       > v 1
lset k 0 v                       > d 1
ltrim k 0 1                      > v 1
migrate h 1 k 0 1                > M
move k 1                         > v 1 option=2 positive
mset a 1                         > v 1
mset a 1 b 2                     > v 1:3:2
msetnx a 1 b 2                   > m 1:3:2 positive
pfadd k a                        > d 1
pfdebug encoding k               > M
pfmerge d a b                    > d 1
psetex k 10 v                    > s 1 at=3 expires
setex k 10 v                     > s 1 at=3 expires
publish c m                      > n
spublish c m                     > n
rename a b                       > d 2
renamenx a b                     > r 2 positive
restore k 0 x                    > R 1 at=3
restore k 0 x replace absttl     > R 1 at=3
restore-asking k 0 x             > M
rpop k                           > l 1 filled tail
rpop k 2                         > l 1 at=2 filled tail
rpoplpush a b                    > b 1:2 filled tail
rpush k a                        > d 1
rpushx k a                       > d 1 positive
sadd k m                         > d 1
sdiffstore d a b                 > d 1
sinterstore d a b                > d 1
sunionstore d a b                > d 1
script load x                    > n
set k v                          > v 1 at=2
SET k v                          > v 1 at=2
set k v ex 10                    > s 1 at=2 expires
set k v keepttl                  > s 1 at=2 keepttl
set k v nx                       > s 1 at=2 filled nx
set k v XX PX 10                 > s 1 at=2 filled expires xx
set k v get                      > s 1 at=2 get
set k v nx get                   > s 1 at=2 nil get nx
set k v xx get exat 10           > s 1 at=2 filled expires get xx
set k v pxat 10                  > s 1 at=2 expires
set k v ifeq x                   > M
set k v 10                       > M
setbit k 1 1                     > d 1
setnx k v                        > s 1 at=2 positive nx
setrange k 0 v                   > d 1
smove a b m                      > d 1:2 positive
sort k                           > n
sort k by w_* limit 0 10 get # get store desc alpha > n
sort k limit 0 10 store d        > d 6
sort k asc                       > n
sort k store a store d           > d 5
sort k nosuch                    > M
spop k                           > p 1 filled
spop k 2                         > p 1 at=2 filled
srem k m                         > v 1
swapdb 0 1                       > M
unlink a b                       > v 1:2
xack k g 1-0                     > d 1
xadd k * f v                     > a 1 at=2 filled
xadd k NOMKSTREAM MAXLEN ~ 10 LIMIT 5 1-* f v > a 1 at=8 filled
xadd k maxlen 10 * f v           > a 1 at=4 filled
xadd k minid = 10 KEEPREF * f v  > a 1 at=6 filled
xadd k idmp p i * f v            > M
xadd k nomkstream maxlen ~ 10    > M
xautoclaim k g c 0 0             > c 1 at=2
xautoclaim k g c 0 0 count 2 justid > c 1 at=2 justid
xautoclaim k g c 0 0 nosuch      > M
xclaim k g c 0 1-0 2-0           > c 1 at=2
xclaim k g c 0 1-0 justid time 1 lastid 3-0 retrycount 2 force > c 1 at=2 option=10 justid
xclaim k g c 0 1-0 idle 5        > c 1 at=2
xclaim k g c 0 1-0 nosuch        > M
xdel k 1-0                       > d 1
xgroup create k g $ mkstream     > d 2
XGROUP CREATECONSUMER k g c      > d 2 positive
xgroup delconsumer k g c         > d 2
xgroup destroy k g               > d 2
xgroup setid k g 0               > d 2
xgroup help                      > n
xgroup nosuch                    > M
xreadgroup group g c streams k > > x 5 at=2 filled ms
xreadgroup group g c count 3 block 5 noack streams a b > 0 > x 10:11 at=2 timeout=7 filled ms noack
xreadgroup group g c streams a b > > M
xreadgroup group g c claim 5 streams a > > M
xreadgroup group g c nosuch streams a > > M
xsetid k 1-0                     > d 1
xtrim k maxlen 10                > d 1
zadd k 1 m                       > d 1
zadd k xx ch 1 m                 > d 1
zadd k GT ch 1 m                 > d 1
zadd k lt 1 m                    > d 1
zadd k nx incr 1 m               > d 1 filled
zdiffstore d 2 a b               > d 1
zincrby k 1 m                    > d 1
zinterstore d 2 a b              > d 1
zmpop 2 a b min count 2          > z 2:3 at=6 filled keyed
zmpop 1 a max                    > z 2 filled tail keyed
zpopmax k                        > z 1 filled tail
zpopmin k 2                      > z 1 at=2 filled
zrangestore d k 0 1              > d 1
zrem k m                         > v 1
zremrangebylex k - +             > v 1
zremrangebyrank k 0 1            > v 1
zremrangebyscore k 0 1           > v 1
zunionstore d 2 a b              > d 1

hexpire k 10 fields 1 f          > f 1 at=2 seconds relative
hpexpire k 10 fields 1 f         > f 1 at=2 relative
hexpireat k 10 fields 1 f        > f 1 at=2 seconds
hpexpireat k 10 nx fields 1 f    > f 1 at=2
hpersist k fields 1 f            > d 1
hsetex k ex 10 fields 1 f v      > f 1 at=3 option=2 positive seconds relative
hsetex k fnx pxat 10 fields 1 f v > f 1 at=4 option=3 positive
hsetex k keepttl fields 1 f v    > d 1 positive
hsetex k nosuch fields 1 f v     > M
hgetex k fields 1 f              > n
hgetex k px 10 fields 1 f        > f 1 at=3 option=2 relative
hgetex k persist fields 1 f      > d 1
hgetdel k fields 1 f             > v 1
delex k ifeq v                   > g 1 positive
msetex 1 k v                     > M
json.set k $ 1                   > d 1 filled
json.mset a $ 1 b $ 2            > v 1:4:3
vadd k values 1 1 e              > d 1
xackdel k g ids 1 1-0            > d 1
ft.create i schema f text        > M

nosuchcommand k                  > M
set k                            > M
hset k f                         > M
incr k 1                         > M
get k                            > n
get                              > n
mget a b                         > n
eval_ro s 0                      > n
ping                             > n
wait 1 0                         > n
subscribe c                      > n
config set a b                   > n
`
