package mirror_test

// effectRows have a call, its reply, and the operations behind the arrow. Replies: :1 an integer, ?1 true,
// ?0 and ?nil false, +OK a status, $x a string, ,1.5 a float, [a b] strings, (1 -2) integers, nil, and - with
// an error. Local's time is 1000000000000.
const effectRows = `
get k                     | $v  >
ping                      | +PONG >
publish c m               | :1  >
script load x             | $sha >
function load x           | $lib >
multi                     | +OK >
exec                      | nil >

set k v                   | +OK > w k: SET k v
SET k v                   | +OK > w k: SET k v
set k v ex 10             | +OK > w k: SET k v PXAT 1000000010000
set k v PX 10             | +OK > w k: SET k v PXAT 1000000000010
set k v exat 1000000007   | +OK > w k: SET k v PXAT 1000000007000
set k v pxat 1000000000007 | +OK > w k: SET k v PXAT 1000000000007
set k v pxat 999999999999 | +OK > w k: SET k v PXAT 999999999999
set k v pxat 999999939999 | +OK > d k
set k v keepttl           | +OK > p k: SET k v KEEPTTL
set k v xx keepttl        | +OK > p k: SET k v KEEPTTL
set k v nx keepttl        | +OK > w k: SET k v
set k v nx                | +OK > w k: SET k v
set k v nx                | nil >
set k v nx                | ?1  > w k: SET k v
set k v nx ex 10          | ?nil >
set k v xx                | nil >
set k v xx                | +OK > w k: SET k v
set k v get               | nil > w k: SET k v
set k v get               | $o  > w k: SET k v
set k v nx get            | nil > w k: SET k v
set k v nx get            | $o  >
set k v xx get            | nil >
set k v xx get            | $o  > w k: SET k v
set k v ifeq o            | nil > u k
set k v                   | -OOM command not allowed >
set k v ex x              | +OK > u k
setnx k v                 | ?1  > w k: SET k v
setnx k v                 | ?0  >
getset k v                | nil > w k: SET k v
getset k v                | $o  > w k: SET k v
setex k 10 v              | +OK > w k: SET k v PXAT 1000000010000
psetex k 10 v             | +OK > w k: SET k v PXAT 1000000000010
mset a 1 b 2              | +OK > w a: SET a 1; w b: SET b 2
msetnx a 1 b 2            | ?1  > w a: SET a 1; w b: SET b 2
msetnx a 1 b 2            | ?0  >
msetex 1 k v ex 10        | :1  > u k
append k v                | :1  > p k: append k v
setrange k 1 v            | :2  > p k: setrange k 1 v
setbit k 1 1              | :0  > p k: setbit k 1 1
bitfield k set u8 0 1     | [0] > p k: bitfield k set u8 0 1
bitfield k get u8 0       | [0] >
incr k                    | :42 > c k: SET k 42 KEEPTTL
incrby k 3                | :42 > c k: SET k 42 KEEPTTL
incrby k 0                | :42 > p k: SET k 42 KEEPTTL
incrby k -3               | :42 > p k: SET k 42 KEEPTTL
incrby k 3                | $42 > c k: SET k 42 KEEPTTL
incrby k 3                | ,42 > u k
incr k                    | -WRONGTYPE of k >
decr k                    | :-1 > p k: SET k -1 KEEPTTL
decrby k -3               | :42 > p k: SET k 42 KEEPTTL
incrbyfloat k 0.5         | $1.5 > p k: SET k 1.5 KEEPTTL
incrbyfloat k 0.5         | ,0.3 > p k: SET k 0.3 KEEPTTL
incrbyfloat k 0.5         | ,0.30000000000000004 > u k
incrbyfloat k 0.5         | $0.30000000000000004 > p k: SET k 0.30000000000000004 KEEPTTL
increx k byint 1          | :1  > u k

del a b                   | :0  > d a; d b
unlink a                  | :1  > d a
getdel k                  | nil > d k
getdel k                  | $v  > d k
getdel k                  | -WRONGTYPE of k >
delex k ifeq v            | :1  > d k
delex k ifeq v            | :0  >
expire k 10               | ?1  > p k: PEXPIREAT k 1000000010000
expire k 10               | ?0  >
expire k 10 nx            | ?1  > p k: PEXPIREAT k 1000000010000
expire k 0                | ?1  > d k
expire k -1               | ?1  > d k
pexpire k 10              | ?1  > p k: PEXPIREAT k 1000000000010
expireat k 1000000007     | ?1  > p k: PEXPIREAT k 1000000007000
expireat k 7              | ?1  > d k
pexpireat k 1000000000007 | ?1  > p k: PEXPIREAT k 1000000000007
pexpire k x               | ?1  > u k
expire k 9223372036854775 | ?1  > u k
persist k                 | ?1  > p k: PERSIST k
persist k                 | ?0  >
getex k ex 10             | $v  > p k: PEXPIREAT k 1000000010000
getex k PXAT 7            | $v  > d k
getex k persist           | $v  > p k: PERSIST k
getex k ex 10             | nil >
getex k                   | $v  >
rename a b                | +OK > r a: b
rename a a                | +OK >
renamenx a b              | ?1  > r a: b
renamenx a b              | ?0  >
copy a b                  | :1  > u b
copy a b                  | :0  >
copy a b db 3             | :1  > u b; u 3/b
move k 3                  | ?1  > u k; u 3/k; d k
move k 3                  | ?0  >
restore k 0 p             | +OK > w k: RESTORE k 0 p
restore k 10 p replace    | +OK > w k: RESTORE k 1000000000010 p ABSTTL
restore k 1000000000009 p absttl | +OK > w k: RESTORE k 1000000000009 p ABSTTL
restore k 9 p absttl      | +OK > d k
restore k x p             | +OK > u k
restore k 9223372036854775807 p | +OK > u k
flushdb                   | +OK > F
flushall async            | +OK > F */
swapdb 0 1                | +OK > u */
migrate h 1 k 0 1         | +OK > u k
migrate h 1 k 0 1         | -IOERR of h > u k
restore-asking k 0 p      | +OK > u k
pfdebug encoding k        | +OK > u k
sort k                    | [a] >
sort k store d            | :3  > u d
sort k store d            | :0  > d d

hset k f v                | :0  > p k: hset k f v
hsetnx k f v              | ?1  > p k: HSET k f v
hsetnx k f v              | ?0  >
hincrby k f 1             | :5  > p k: hincrby k f 1
hincrbyfloat k f 1.5      | ,2.5 > p k: hincrbyfloat k f 1.5
hincrbyfloat k f 1.5      | ,0.30000000000000004 > u k
hincrbyfloat k f 1.5      | $2.5 > p k: hincrbyfloat k f 1.5
hincrbyfloat k f 1.5      | $0.30000000000000004 > u k
hincrbyfloat k f 1.5      | nil > u k
hdel k f                  | :1  > p k: hdel k f
hdel k f                  | :0  >
hexpire k 10 fields 3 a b c | (1 2 -2) > p k: HPEXPIREAT k 1000000010000 FIELDS 1 a; p k: HDEL k b
hpexpire k 10 nx fields 1 a | (0) >
hpexpire k 10 gt fields 1 a | (1) > p k: HPEXPIREAT k 1000000000010 FIELDS 1 a
hexpireat k 1000000007 FIELDS 2 a b | (1 1) > p k: HPEXPIREAT k 1000000007000 FIELDS 2 a b
hpexpireat k 7 fields 1 a | (2) > p k: HDEL k a
hpexpireat k 7 fields 1 a | (2 2) > u k
hpersist k fields 1 a     | (1) > p k: hpersist k fields 1 a
hsetex k ex 10 fields 1 f v | :1 > p k: hsetex k PXAT 1000000010000 fields 1 f v
hsetex k fields 1 f v     | :0  >
hgetex k px 10 fields 1 f | [v] > p k: hgetex k PXAT 1000000000010 fields 1 f
hgetex k fields 1 f       | [v] >
himport set k f v         | :1  > u k

rpush k a b               | :2  > w k: rpush k a b
rpush k a b               | :3  > p k: rpush k a b
lpush k a                 | :1  > w k: lpush k a
lpush k a                 | +1? > p k: lpush k a
rpushx k a                | :0  >
rpushx k a                | :1  > p k: rpushx k a
linsert k before p v      | :-1 >
lrem k 0 v                | :0  >
ltrim k 0 1               | +OK > p k: ltrim k 0 1
lpop k                    | $v  > p k: LPOP k 1
rpop k 3                  | [a b] > p k: RPOP k 2
lpop k                    | nil >
blpop a b 0               | [b v] > p b: LPOP b 1
brpop a b 0               | nil >
brpop a b 0               | [b v] > p b: RPOP b 1
lmove a b left right      | $v  > p a: LPOP a; p b: RPUSH b v
rpoplpush a b             | $v  > p a: RPOP a; p b: LPUSH b v
lmove a a left right      | $v  > p a: LMOVE a a LEFT RIGHT
blmove a b left right 0   | nil >
blmove a b left right 0   | $v  > p a: LPOP a; p b: RPUSH b v
brpoplpush a b 0          | $v  > p a: RPOP a; p b: LPUSH b v
blmovem a b left right 0 count 2 | [x] > u a; u b
lmovem a b left right count 2 | [x] > u a; u b

sadd k m                  | :1  > p k: sadd k m
sadd k m                  | :0  >
srem k m                  | :0  >
smove a b m               | ?1  > p a: SREM a m; p b: SADD b m
smove a b m               | ?0  >
smove a a m               | ?1  >
spop k                    | $m  > p k: SREM k m
spop k 3                  | [m n] > p k: SREM k m n
spop k 3                  | []  >
spop k                    | nil >
spop k                    | :7  > u k
sunionstore d a b         | :2  > u d
sinterstore d a b         | :2  > u d
sinterstore d a b         | :0  > d d

zadd k 1 m                | :0  > p k: zadd k 1 m
zadd k incr 1 m           | nil >
zincrby k 1 m             | ,1  > p k: zincrby k 1 m
zunionstore d 1 a         | :1  > u d
zrangestore d a 0 1       | :0  > d d
zrangestore d a 0 1       | :1  > u d
geosearchstore d k fromlonlat 1 1 byradius 1 m | :1 > u d
geosearchstore d k fromlonlat 1 1 byradius 1 m | :0 > d d
georadius k 1 1 1 m store d | :1 > u d
pfadd k a                 | :0  >
sdiffstore d a b          | :1  > u d
zdiffstore d 1 a          | :1  > u d
zinterstore d 1 a         | :1  > u d
georadiusbymember k x 1 m store d | :1 > u d
pfmerge d a               | +OK > u d
bitop and d a b           | :0  > d d
bitop and d a b           | :4  > u d

xadd k * f v              | $5-1 > p k: xadd k 5-1 f v
xadd k nomkstream * f v   | nil >
xadd k maxlen 3 5-* f v   | $5-0 > p k: xadd k maxlen 3 5-0 f v
xadd k maxlen ~ 3 * f v   | $5-1 > u k
xtrim k maxlen ~ 3        | :1  > u k
xtrim k maxlen ~ 3        | :0  >
xtrim k maxlen 3          | :1  > p k: xtrim k maxlen 3
xack k g 5-1              | :1  > p k: xack k g 5-1
xdel k 5-1                | :0  >
xnack k g fail ids 1 1-1  | :1  > u k
xidmprecord k p i 1-1     | +OK > u k
xgroup create k g $       | +OK > p k: xgroup create k g $
xgroup createconsumer k g c | :0 >
xclaim k g c 5 1-1 2-1 justid | [1-1 2-1] > p k: XCLAIM k g c 0 1-1 2-1 justid
xclaim k g c 5 1-1 2-1 justid | [2-1] > p k: XCLAIM k g c 0 2-1 justid; p k: xclaim k g c 9223372036854775807 1-1 2-1 justid
xclaim k g c 5 1-1 force justid | [] > p k: xclaim k g c 9223372036854775807 1-1 force justid

json.set k $ v            | +OK > p k: json.set k $ v
json.set k $ v nx         | nil >
json.mset a $ 1 b $ 2     | +OK > p a: JSON.SET a $ 1; p b: JSON.SET b $ 2
bf.add k m                | :1  > p k: bf.add k m
cms.merge d 1 a           | +OK > u d
tdigest.merge d 1 a       | +OK > u d
topk.add k m              | [m] > u k
topk.incrby k m 1         | [m] > u k
topk.reserve k 5          | +OK > u k
ts.alter k                | +OK > u k
ts.create k               | +OK > u k
ts.decrby k 1             | :1  > u k
ts.del k 1 2              | :1  > u k
ts.incrby k 1             | :1  > u k
ts.madd k 1 2             | (1) > u k
ts.add k 1 2              | :1  > u k
ts.createrule a b aggregation avg 1 | +OK > u a; u b
ts.deleterule a b         | +OK > u b; u a
vadd k values 1 1 m       | :1  > u k
ft.create i on hash       | +OK >
ft.dropindex i            | +OK >
ft.dropindex i dd         | +OK > u */
ft.aliasadd a i           | +OK >
ft.aliasdel a             | +OK >
ft.aliasupdate a i        | +OK >
ft.alter i schema add f text | +OK >
ft.dictadd d a            | :1  >
ft.dictdel d a            | :1  >
ft.synupdate i g a        | +OK >
ft.search i q             | [0] >

eval s 2 a b x            | :1  > u a; u b
eval s 0 x                | nil >
evalsha s 1 a             | -NOSCRIPT No matching script >
evalsha s 1 a             | -WRONGTYPE of b > u a
eval_ro s 1 a             | :1  >
fcall f 1 a               | nil > u a
function flush            | +OK >
function delete l         | +OK >
function restore p        | +OK >
nosuch a 7                | nil > u a; u 7
nosuch a                  | -ERR no > u a
set k v                   | -EXECABORT Transaction discarded > u k
`
