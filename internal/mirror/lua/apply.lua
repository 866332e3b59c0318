-- Does on local what the primary has done: a batch of operations of one process. order.lua stands before.
-- ARGV: the fence that must stand there, the process, the numbers of the batch and of the last one that it
-- had an answer to, what the process says of itself (a word that only it knows first), the claims that it drops; then operations. Before
-- those of a call stands "@number from till lo hi", before those in another database "=number"; an
-- operation is its kind with the number of arguments of its command, and these, of which the second is the
-- key. In capitals the key stands before them.
-- It answers with what became of the batch, the time, which operations met a key that is not here, which
-- deleted one that is unsure, how many were void, and how many commands failed.
local fence = call('GET', FENCE)
if fence ~= ARGV[1] then return { 'FENCED', clock[1], clock[2] } end
local me = call('HGET', PROCESSES, ARGV[2])
if not me then return { 'GONE', clock[1], clock[2] } end
local seq, token = match(me, '^%d+ (%d+) (%S+)')
seq = tonumber(seq)
if token ~= match(ARGV[5], '^%S+') then return { 'GONE', clock[1], clock[2] } end
-- A batch that was given up may arrive after the one in its place.
if seq >= tonumber(ARGV[3]) then return { 'STALE', clock[1], clock[2] } end
if seq < tonumber(ARGV[4]) then return { 'LOST', clock[1], clock[2] } end
if call('HEXISTS', META, 'empty') == 1 then return { 'EMPTY', clock[1], clock[2] } end

-- The first write of a script fails where memory is full, later ones do not. So this one tells.
local ms = string.format('%d', now / 1000)
local mine = ms .. ' ' .. ARGV[3] .. ' ' .. ARGV[5]
local wrote = pcall('HSET', PROCESSES, ARGV[2], mine)
local full = type(wrote) == 'table' and wrote.err ~= nil
for slot in string.gmatch(ARGV[6], '%d+') do call('UNLINK', CLAIMS .. ARGV[2] .. ':' .. slot) end
if full then
  call('HDEL', PROCESSES, '')
  call('HSET', PROCESSES, ARGV[2], mine)
end

-- What there is to do, and on which keys.
local ops, keys, seen, dbs, others = {}, {}, {}, { '' }, {}
local x, db, i, n = nil, '', 7, #ARGV
while i <= n do
  local s = ARGV[i]
  local kind = string.sub(s, 1, 1)
  if kind == '@' then
    local c, from, till, lo, hi = match(s, '^@(%d+) (%d+) (%d+) (%-?%d+) (%d+)$')
    x = { p = ARGV[2], c = c, from = tonumber(from), till = tonumber(till), lo = tonumber(lo), hi = tonumber(hi) }
    i = i + 1
  elseif kind == '=' then
    db = string.sub(s, 2)
    if db ~= '' and db ~= '*' and not others[db] and has(db) then
      others[db] = true
      dbs[#dbs + 1] = db
    end
    i = i + 1
  else
    local args = tonumber(string.sub(s, 2))
    local first, key = i + 1, ARGV[i + 2]
    local low = string.lower(kind)
    if low ~= kind then first, key = i + 2, ARGV[i + 1] end
    local k = db .. '|' .. key
    ops[#ops + 1] = { low, x, db, key, k, first, first + args - 1 }
    if missing[db] then
      ops[#ops][1] = 'x'
    elseif low ~= 'f' and not seen[k] then
      seen[k] = true
      keys[#keys + 1] = k
    end
    i = first + args
  end
end
open(dbs)
learn(keys)
local foreign = ours(dbs)

local cold, deleted, skipped, failed = {}, {}, 0, 0

-- lose deletes a key of which nothing is sure.
local function lose(o, j, ordered)
  if KEEP then return end
  local e = enter(o[5], o[2], ordered)
  e.how, e.base = 'u', max(e.base, o[2].hi)
  use(o[3])
  pcall('UNLINK', o[4])
  doubt(o[5], true)
  deleted[#deleted + 1] = j
end

-- deadline is where the command of an operation has a deadline; others than these have none.
local function deadline(o)
  local name, n = ARGV[o[6]], o[7] - o[6]
  if n == 2 and name == 'PEXPIREAT' or n == 4 and name == 'RESTORE' then return o[6] + 2 end
  if n == 4 and name == 'SET' and ARGV[o[7] - 1] == 'PXAT' then return o[7] end
end

-- run does what an operation says; false where local refuses it, and the key is lost.
local function run(o, j)
  local d = deadline(o)
  if d then
    if delayed(o[2], SLOW) then
      lose(o, j, true)
      return false
    end
    ARGV[d] = postponed(ARGV[d])
  end
  local r = pcall(unpack(ARGV, o[6], o[7]))
  if type(r) ~= 'table' or not r.err then return true end
  failed = failed + 1
  lose(o, j, true)
  return false
end

-- left is the time that a key has left, in ms: -1 for ever, -2 it is not here.
local function left(o)
  use(o[3])
  return pcall('PTTL', o[4])
end

-- dying reports whether that is so little that the key may be gone on the primary.
local function dying(ms) return ms >= 0 and ms < GRACE + late + SKEW end

-- nowhere reports whether a key that is not here was not there before the operation either.
local function nowhere(o, e)
  return e and e.how == 'g' or complete and now - o[2].lo < (GRACE - SKEW) * 1000 and not doubted(o[5])
end

local function miss(o, j, how)
  local e = enter(o[5], o[2], true)
  if e.how ~= 'u' then e.how = how end
  doubt(o[5], true)
  cold[#cold + 1] = j
  return e
end

-- higher compares two integers as text: beyond 2^53 a number of Lua's is not exact.
local function higher(a, b)
  if string.sub(a, 1, 1) == '-' or string.sub(b, 1, 1) == '-' then return tonumber(a) > tonumber(b) end
  if #a ~= #b then return #a > #b end
  return a > b
end

local does = {}

function does.w(o, j)
  use(o[3])
  if string.lower(ARGV[o[6]]) ~= 'set' then pcall('UNLINK', o[4]) end
  if run(o, j) then
    whole(enter(o[5], o[2], true), o[2], 's')
    doubt(o[5], false)
  end
end

function does.p(o, j)
  local e, ms = known[o[5]], left(o)
  -- These are told of only where the primary had the key.
  local had = deadline(o) or ARGV[o[6]] == 'PERSIST'
  if ms == -2 and (had or not nowhere(o, e)) then
    e = miss(o, j, 'c')
    e.base = max(e.base, o[2].hi)
  elseif dying(ms) and not had then
    lose(o, j, true)
  elseif run(o, j) then
    e = enter(o[5], o[2], true)
    e.how, e.base = 's', max(e.base, o[2].hi)
  end
end

function does.c(o, j)
  local ms = left(o)
  if ms == -2 and not nowhere(o, known[o[5]]) then
    miss(o, j, 'n')
  elseif dying(ms) then
    lose(o, j, true)
  elseif run(o, j) then
    enter(o[5], o[2], true).how = 'n'
  end
end

function does.d(o)
  use(o[3])
  pcall('UNLINK', o[4])
  whole(enter(o[5], o[2], true), o[2], 'g')
  doubt(o[5], false)
end

-- count keeps the higher of two numbers that a counter came to, in whatever order.
local function count(o, j)
  if dying(left(o)) then return lose(o, j, false) end
  local v = pcall('GET', o[4])
  if type(v) == 'table' then return lose(o, j, false) end
  if not v then
    cold[#cold + 1] = j
  elseif higher(ARGV[o[6] + 2], v) then
    if not run(o, j) then return end
  end
  enter(o[5], o[2], false)
end

local function flush(o)
  local x, f = o[2], flushes[o[3]]
  local t = { p = x.p, c = x.c, till = x.till, hi = x.hi, other = 0, lo = x.lo, from = x.from, wp = x.p }
  if f then
    if not after(f, x) then t.c = '0' end
    t.lo = max(t.lo, f.lo)
    if f.p == x.p then
      t.till, t.hi, t.other, t.from = max(t.till, f.till), max(t.hi, f.hi), f.other, max(t.from, f.from)
    else
      t.other = max(f.hi, f.other)
    end
  end
  flushes[o[3]] = t
  incomplete()
  local which = { o[3] }
  if o[3] == '*' then
    use(DATABASE)
    which = call('SMEMBERS', DBS)
    which[#which + 1] = ''
  end
  for _, name in ipairs(which) do
    use(name)
    if at ~= DATABASE then pcall('FLUSHDB', 'ASYNC') end
  end
  use(DATABASE)
  call('HSET', META, 'flush:' .. o[3],
    string.format('%s %s %d %d %d %d %d', t.p, t.c, t.till, t.hi, t.other, t.lo, t.from))
end

for j = 1, #ops do
  local o = ops[j]
  local kind, e = o[1], known[o[5]]
  if kind == 'x' then
    failed = failed + 1
  elseif foreign[o[3]] then
    skipped = skipped + 1
  elseif kind == 'f' then
    flush(o)
  elseif kind == 'u' or full and kind ~= 'd' then
    lose(o, j, place(e, o[2], o[3]) == 1)
  else
    local p = place(e, o[2], o[3])
    if p == 1 then
      does[kind](o, j)
    elseif p == 0 then
      skipped = skipped + 1
    elseif kind == 'c' and e and e.how == 'n' and o[2].lo > max(e.base, void, horizon) and
      clear(flushes[o[3]], o[2]) and clear(flushes['*'], o[2]) then
      count(o, j)
    else
      lose(o, j, false)
    end
  end
end
close()
return { full and 'FULL' or 'OK', clock[1], clock[2], cold, deleted, skipped, failed }
