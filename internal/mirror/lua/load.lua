-- Puts keys on local as they were read from the primary, unless something newer, or something at the same
-- time, is known of them. order.lua stands before.
-- ARGV: the fence, the process; then items: "@0 from till lo hi" of the reading, the database, the key,
-- the deadline (ms, 0 none) and how: R with what DUMP gave, A for a key that is not there, or how many
-- commands make it, each with the number of its arguments before it.
-- It answers with the time and a letter for each: T taken, N newer, R refused.
if call('GET', FENCE) ~= ARGV[1] then return { 'FENCED', clock[1], clock[2] } end
if call('HEXISTS', META, 'empty') == 1 then return { 'EMPTY', clock[1], clock[2] } end
local items, keys, dbs, seen = {}, {}, { '' }, { [''] = true }
local i, n = 3, #ARGV
while i <= n do
  local c, from, till, lo, hi = match(ARGV[i], '^@(%d+) (%d+) (%d+) (%-?%d+) (%d+)$')
  local o = { x = { p = ARGV[2], c = c, from = tonumber(from), till = tonumber(till), lo = tonumber(lo), hi = tonumber(hi) },
    db = ARGV[i + 1], key = ARGV[i + 2], ms = ARGV[i + 3], how = ARGV[i + 4], at = i + 5 }
  o.k = o.db .. '|' .. o.key
  i = i + 5
  if o.how == 'R' then
    i = i + 1
  elseif o.how ~= 'A' then
    for _ = 1, tonumber(o.how) do i = i + 1 + tonumber(ARGV[i]) end
  end
  items[#items + 1], keys[#keys + 1] = o, o.k
  if not seen[o.db] then
    seen[o.db] = true
    if has(o.db) then dbs[#dbs + 1] = o.db end
  end
end
open(dbs)
learn(keys)

local function failed(r) return type(r) == 'table' and r.err end

-- make runs the commands that make a key.
local function make(o)
  pcall('UNLINK', o.key)
  local j = o.at
  for _ = 1, tonumber(o.how) do
    local args = tonumber(ARGV[j])
    if failed(pcall(unpack(ARGV, j + 1, j + args))) then return false end
    j = j + 1 + args
  end
  return o.ms == '0' or not failed(pcall('PEXPIREAT', o.key, o.ms))
end

local function take(o)
  use(o.db)
  if o.how == 'A' then
    pcall('UNLINK', o.key)
    whole(enter(o.k, o.x, true), o.x, 'g')
  elseif o.how == 'R' then
    if failed(pcall('RESTORE', o.key, o.ms, ARGV[o.at], 'REPLACE', 'ABSTTL')) then return 'R' end
    whole(enter(o.k, o.x, true), o.x, 's')
  elseif make(o) then
    whole(enter(o.k, o.x, true), o.x, 's')
  else
    pcall('UNLINK', o.key)
    local e = enter(o.k, o.x, false)
    e.how, e.base = 'u', max(e.base, o.x.hi)
    return 'R'
  end
  return 'T'
end

local results = {}
for j = 1, #items do
  local o = items[j]
  if missing[o.db] then
    results[j] = 'R'
  elseif place(known[o.k], o.x, o.db) ~= 1 then
    results[j] = 'N'
  else
    results[j] = take(o)
    doubt(o.k, results[j] == 'R')
  end
end
use(DATABASE)
if #dbs > 1 then pcall('SADD', DBS, unpack(dbs, 2)) end
close()
return { 'OK', clock[1], clock[2], concat(results) }
