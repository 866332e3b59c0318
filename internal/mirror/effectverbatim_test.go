package mirror_test

// verbatimRows are calls that reach local as they are, whatever the reply. All are about k.
const verbatimRows = `
ardel k 1
ardelrange k 0 1
arinsert k 1 v
armset k 1 v
arring k 5 v
arseek k 1
arset k 1 v
bf.insert k items m
bf.loadchunk k 1 d
bf.madd k m
bf.reserve k 0.1 9
cf.add k m
cf.addnx k m
cf.del k m
cf.insert k items m
cf.insertnx k items m
cf.loadchunk k 1 d
cf.reserve k 9
cms.incrby k m 1
cms.initbydim k 9 9
cms.initbyprob k 0.1 0.1
ft.sugadd k s 1
ft.sugdel k s
geoadd k 1 1 m
hdel k f
hgetdel k fields 1 f
hmset k f v
json.arrappend k $ v
json.arrinsert k $ 0 v
json.arrpop k
json.arrtrim k $ 0 1
json.clear k
json.del k
json.forget k
json.merge k $ v
json.numincrby k $ 1
json.nummultby k $ 2
json.strappend k v
json.toggle k $
linsert k before p v
lpushx k v
lrem k 0 v
lset k 0 v
pfadd k m
srem k m
tdigest.add k 1
tdigest.create k
tdigest.reset k
vrem k m
vsetattr k m a
xackdel k g ids 1 1-1
xcfgset k idmp-duration 9
xdel k 1-1
xdelex k ids 1 1-1
xgroup createconsumer k g c
xgroup delconsumer k g c
xgroup destroy k g
xgroup setid k g $
xsetid k 1-1
zrem k m
zremrangebylex k - +
zremrangebyrank k 0 1
zremrangebyscore k 0 1
`
