-- What local knows of the last calls on each key, and where a call stands to them. It is the first part
-- of apply.lua and load.lua. A call is an interval: it ran on the primary at some time between lo and hi,
-- by local's clock, in microseconds, and between from and till by its own process', in nanoseconds.
--
-- Of a key there is, in a hash for each half minute: how it is (s: here and sure; n: the same, and a
-- number that only went up; g: it is gone; c: not here; u: nobody knows), the process of the last call,
-- the number of that call (0 where it was not in order), the latest till of that process, the latest hi
-- of that process and of others, how far the calls reach that did not just count up, and of the last
-- call that made it whole lo, from and process. Times are written without the half minute's own.
local call, pcall, concat = redis.call, redis.pcall, table.concat
local floor, max, match, format = math.floor, math.max, string.match, string.format
call('SELECT', DATABASE)
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local window = floor(now / WINDOW)
local horizon = now - HORIZON
local at = DATABASE
-- A call of another time in which the primary serves has nothing to do with these: its keys are unsure.
local RECENT = RECENT .. (match(ARGV[1], ' (%d+) ') or '') .. ':'

-- use selects a database for pcall, with which all that is not ours is done. There are servers for tests
-- on which call has a selection of its own, which stays where ours is.
local function use(db)
  if db == '' then db = HOME end
  if at ~= db then
    pcall('SELECT', db)
    at = db
  end
end

-- has reports whether local has a database: the primary may have more of them.
local missing = {}
local function has(db)
  if missing[db] == nil then
    local r = pcall('SELECT', db == '' and HOME or db)
    missing[db] = type(r) == 'table' and r.err ~= nil or db == DATABASE
    pcall('SELECT', at)
  end
  return not missing[db]
end

-- The state of all: whether names of unsure keys are kept, since when nothing was known, by how much a deadline
-- may be too late beside GRACE, flushes.
local tracked, complete, void, future, late, flushes
local function open(dbs)
  local fields = { 'complete', 'void', 'future', 'late', 'flush:*' }
  for i = 1, #dbs do fields[i + 5] = 'flush:' .. dbs[i] end
  local r = call('HMGET', META, unpack(fields))
  tracked, complete = r[1], r[1] == '1'
  void, future, late, flushes = tonumber(r[2] or 0), tonumber(r[3] or 0), tonumber(r[4] or 0), {}
  for i = 5, #fields do
    if r[i] then
      local p, c, till, hi, other, lo, from = match(r[i], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
      flushes[string.sub(fields[i], 7)] = { p = p, c = c, till = tonumber(till), hi = tonumber(hi),
        other = tonumber(other), lo = tonumber(lo), from = tonumber(from), wp = p }
    end
  end
end

-- ours returns those of these databases that are not the mirror's: they hold keys that no mirror put there, or
-- are another service's. The home database, the first of them, is.
local function ours(dbs)
  local foreign = {}
  for i = 2, #dbs do
    local db = dbs[i]
    use(DATABASE)
    if call('SISMEMBER', DBS, db) == 0 then
      local seen, name = match(call('HGET', MIRRORS, db) or '', '^(%d+) (.*)$')
      foreign[db] = db == DATABASE or name and name ~= NAME and now / 1000 - seen < OWNED
      use(db)
      if pcall('DBSIZE') ~= 0 then foreign[db] = true end
      use(DATABASE)
      if not foreign[db] then
        pcall('SADD', DBS, db) -- where memory is full, the next one does it
        pcall('HSET', MIRRORS, db, format('%d %s', now / 1000, NAME))
      end
    end
  end
  use(DATABASE)
  return foreign
end

local known, fresh, list = {}, {}, {}

local function read(name, base, names)
  local r = call('HMGET', name, unpack(names))
  for i = 1, #names do
    local v = r[i]
    if v and not known[names[i]] then
      local how, p, c, till, hi, other, b, lo, from, wp =
        match(v, '^(%a) (%d+) (%d+) (%d+) (%-?%d+) (%-?%d*) (%-?%d*) (%-?%d*) (%d*) (%d*)$')
      known[names[i]] = { how = how, p = p, c = c, till = tonumber(till), hi = hi + base,
        other = other == '' and 0 or other + base, base = b == '' and 0 or b + base,
        lo = lo == '' and 0 or lo + base, from = from == '' and 0 or tonumber(from), wp = wp }
    end
  end
end

-- learn reads what is known of these keys, "db|key".
local function learn(names)
  if #names == 0 then return end
  for w = window + 1, window - 1, -1 do
    local name = RECENT .. format('%d', w)
    if w == window or call('EXISTS', name) == 1 then read(name, w * WINDOW, names) end
  end
end

-- keep writes down what was learnt since.
local function keep()
  use(DATABASE)
  local here, there = {}, {}
  local limit = (window + 1) * WINDOW
  for i = 1, #list do
    local k = list[i]
    local e = known[k]
    local rows, base = here, window * WINDOW
    if e.hi >= limit or e.other >= limit then rows, base = there, limit end
    rows[#rows + 1] = k
    rows[#rows + 1] = concat({ e.how, e.p, e.c, format('%d', e.till), e.hi - base, e.other == 0 and '' or e.other - base,
      e.base == 0 and '' or e.base - base, e.lo == 0 and '' or e.lo - base, e.lo == 0 and '' or format('%d', e.from), e.wp }, ' ')
  end
  for i, rows in ipairs({ here, there }) do
    if #rows > 0 then
      local name = RECENT .. format('%d', window + i - 1)
      call('HSET', name, unpack(rows))
      call('PEXPIREAT', name, format('%d', (window + i + 1) * WINDOW / 1000))
    end
  end
end

-- after reports whether a call began after all that is known in e had ended.
local function after(e, x)
  if x.p == e.p then return x.c == e.c and x.c ~= '0' or x.from > e.till and x.lo > e.other end
  return x.lo > e.hi and x.lo > e.other
end

-- before reports whether a call had ended before the one that made the key whole began.
local function before(e, x) return x.hi < e.lo or (x.p == e.wp and x.till < e.from) end

-- place is 1 where a call follows all that is known of the key, 0 where what came later made it void,
-- -1 where nobody can tell.
local function place(e, x, db)
  local f, all = flushes[db], flushes['*']
  if e and before(e, x) or f and before(f, x) or all and before(all, x) then return 0 end
  if x.lo <= void or x.lo < horizon then return -1 end
  if e and not after(e, x) or f and not after(f, x) or all and not after(all, x) then return -1 end
  return 1
end

-- clear reports whether a call began after a flush had surely ended.
local function clear(f, x) return not f or x.lo > max(f.hi, f.other) end

-- enter takes a call into what is known of a key.
local function enter(k, x, ordered)
  local e = known[k]
  if not e then
    e = { how = 'c', p = x.p, till = 0, hi = 0, other = 0, base = 0, lo = 0, from = 0, wp = '' }
    known[k] = e
  end
  if e.p ~= x.p then
    e.other = max(e.other, e.hi)
    e.p, e.till, e.hi = x.p, x.till, x.hi
  else
    e.till, e.hi = max(e.till, x.till), max(e.hi, x.hi)
  end
  e.c = ordered and x.c or '0'
  if not fresh[k] then
    fresh[k] = true
    list[#list + 1] = k
  end
  if x.hi > future and x.hi > now then
    future = x.hi
    fresh[0] = true
  end
  return e
end

-- whole notes that the call made the key what it is.
local function whole(e, x, how)
  e.how, e.base, e.lo, e.from, e.wp = how, max(e.base, x.hi), x.lo, x.from, x.p
end

-- Deadlines. A key must not expire here before it does on the primary: a write that it met there would then make
-- a part of it here, without a deadline, which stays. So a deadline that counts from the call is counted from
-- the latest time at which that may have ended, and every one is later by GRACE. What a write meets here:
--   nothing: the key was not there when the write ran, if that was less than GRACE ago.
--   a key with little time left: the primary may have made another of that name meanwhile. Nobody can tell.
-- How much is little: the uncertainty of the call that set the deadline, GRACE, and SKEW.
-- A deadline that was given as a time is one of the primary's clock. The two servers' clocks are nowhere
-- compared, which would cost commands: for such a key all this holds while they differ by less than SKEW.
local function postponed(ms)
  local n = tonumber(ms)
  if n > 2 ^ 52 then return ms end
  return format('%d', n + GRACE)
end

-- delayed notes how uncertain a deadline is, and reports whether it is too uncertain.
local function delayed(x, most)
  local d = max(floor((x.hi - x.lo) / 1000) + 1, 0)
  if d > most then return true end
  if d > late then
    late = d
    fresh[-1] = true
  end
  return false
end

-- Names of keys that are unsure, or are so no more.
local doubts, names = {}, {}
local function doubt(k, unsure)
  if not tracked then return end
  if doubts[k] == nil then names[#names + 1] = k end
  doubts[k] = unsure
end

-- incomplete ends the time in which local knows of all keys whether they are there.
local function incomplete()
  local was = at
  use(DATABASE)
  call('HDEL', META, 'complete')
  call('UNLINK', UNSURE)
  use(was)
  tracked, complete, doubts, names = false, false, {}, {}
end

local function doubted(k)
  if doubts[k] ~= nil then return doubts[k] end
  local was = at
  use(DATABASE)
  local is = call('SISMEMBER', UNSURE, k) == 1
  use(was)
  return is
end

-- close writes down all that a script has learnt.
local function close()
  keep()
  if fresh[0] then call('HSET', META, 'future', format('%d', future)) end
  if fresh[-1] then call('HSET', META, 'late', format('%d', late)) end
  local add, take = {}, {}
  for i = 1, #names do
    if doubts[names[i]] then add[#add + 1] = names[i] else take[#take + 1] = names[i] end
  end
  if #take > 0 then call('SREM', UNSURE, unpack(take)) end
  if #add > 0 then
    call('SADD', UNSURE, unpack(add))
    if call('SCARD', UNSURE) > DOUBTS then incomplete() end
  end
end
