-- Puts keys on local as they were read from the primary, unless something newer, or something at the same
-- time, is known of them. order.lua stands before.
-- ARGV: the fence, the process; then items: the database, the key, the deadline (ms, 0 none) and how: R with
-- what DUMP gave, A for a key that is not there, or how many commands make it, each with the number of its
-- arguments before it. Before those that were read together stands "@0 from till lo hi" of the reading.
-- It answers with the time and a letter for each: T taken, N newer, R refused.
if call('GET', FENCE) ~= ARGV[1] then return { 'FENCED', clock[1], clock[2] } end
if call('HEXISTS', META, 'empty') == 1 then return { 'EMPTY', clock[1], clock[2] } end
-- A whole copy makes millions of these, so what is the same for all that were read together is worked out
-- once, and a key of which nothing is known gets no table of its own.
local keys, first, reads, dbs, seen = {}, {}, {}, { '' }, { [''] = true }
local x
local i, n = 3, #ARGV
while i <= n do
  if string.byte(ARGV[i]) == 64 then
    local c, from, till, lo, hi = match(ARGV[i], '^@(%d+) (%d+) (%d+) (%-?%d+) (%d+)$')
    x = { p = ARGV[2], c = c, from = tonumber(from), till = tonumber(till), lo = tonumber(lo), hi = tonumber(hi), places = {} }
    i = i + 1
  end
  local db, how = ARGV[i], ARGV[i + 3]
  local j = #keys + 1
  keys[j], first[j], reads[j] = db .. '|' .. ARGV[i + 1], i, x
  if not seen[db] then
    seen[db] = true
    if has(db) then dbs[#dbs + 1] = db end
  end
  i = i + 4
  if how == 'R' then
    i = i + 1
  elseif how ~= 'A' then
    for _ = 1, tonumber(how) do i = i + 1 + tonumber(ARGV[i]) end
  end
end
open(dbs)
learn(keys)
local foreign = ours(dbs)
local doubtful = tracked and call('SCARD', UNSURE) > 0

local function failed(r) return type(r) == 'table' and r.err end

-- make runs the commands that make a key; the number of them stands at j.
local function make(key, ms, j)
  pcall('UNLINK', key)
  local count = tonumber(ARGV[j])
  j = j + 1
  for _ = 1, count do
    local args = tonumber(ARGV[j])
    if failed(pcall(unpack(ARGV, j + 1, j + args))) then return false end
    j = j + 1 + args
  end
  return ms == '0' or not failed(pcall('PEXPIREAT', key, postponed(ms)))
end

-- What is learnt of keys of which nothing was known, for each of the two hashes, as keep writes it.
local rows, taken = { {}, {} }, {}
local function learnt(k, x, how)
  local text = x[how]
  if not text then
    local base = window * WINDOW
    x.row = rows[1]
    if x.hi >= base + WINDOW then
      base = base + WINDOW
      x.row = rows[2]
    end
    text = concat({ how, x.p, x.c, x.till, x.hi - base, '', x.hi - base, x.lo - base, x.from, x.p }, ' ')
    x[how] = text
    if x.hi > future and x.hi > now then
      future = x.hi
      fresh[0] = true
    end
  end
  local row = x.row
  local m = #row
  row[m + 1], row[m + 2] = k, text
  if doubtful then taken[#taken + 1] = k end
end

local function take(j, e, x)
  local f, k = first[j], keys[j]
  local db, key, ms, how = ARGV[f], ARGV[f + 1], ARGV[f + 2], ARGV[f + 3]
  use(db)
  local is = 's'
  if how == 'R' then
    if failed(pcall('RESTORE', key, ms == '0' and ms or postponed(ms), ARGV[f + 4], 'REPLACE', 'ABSTTL')) then return 'R' end
  elseif how == 'A' then
    pcall('UNLINK', key)
    is = 'g'
  elseif not make(key, ms, f + 3) then
    pcall('UNLINK', key)
    e = enter(k, x, false)
    e.how, e.base = 'u', max(e.base, x.hi)
    return 'R'
  end
  if e then
    whole(enter(k, x, true), x, is)
    doubt(k, false)
  else
    learnt(k, x, is)
  end
  return 'T'
end

local results = {}
for j = 1, #keys do
  local x, e, db = reads[j], known[keys[j]], ARGV[first[j]]
  local p
  if e then
    p = place(e, x, db)
  else
    p = x.places[db] or place(nil, x, db)
    x.places[db] = p
  end
  local letter = 'N'
  if missing[db] or foreign[db] then
    letter = 'R'
  elseif p == 1 and (ARGV[first[j] + 2] == '0' or not delayed(x, SLOWEST)) then
    letter = take(j, e, x)
    if letter == 'R' then doubt(keys[j], true) end
  end
  results[j] = letter
end
use(DATABASE)
for w = 1, 2 do
  if #rows[w] > 0 then
    local name = RECENT .. string.format('%d', window + w - 1)
    call('HSET', name, unpack(rows[w]))
    call('PEXPIREAT', name, string.format('%d', (window + w + 1) * WINDOW / 1000))
  end
end
if #taken > 0 then call('SREM', UNSURE, unpack(taken)) end
close()
return { 'OK', clock[1], clock[2], concat(results) }
