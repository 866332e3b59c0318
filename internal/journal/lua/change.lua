-- Changes the record, if its epoch is the one given. KEYS: state, fence, journal, kept, deadlines, redo, names.
-- ARGV: id, epoch, what, channel, by, reason, cause, kind, limit, usage, pin ('=' as it is), a time in
-- ms, hash of the primary's address.
-- Answers 1 if it did, local's time, and the record that holds then.
local state, fence, journal = KEYS[1], KEYS[2], KEYS[3]
local t = redis.call('TIME')
local ms = t[1] .. string.format('%03d', math.floor(tonumber(t[2]) / 1000))
local now = tonumber(ms)
local r = redis.call('HMGET', state, 'id', 'epoch', 'serving', 'since', 'last', 'floor', 'closed', 'pin', 'names')
local what = ARGV[3]
local function as_it_is() return { 0, ms, redis.call('HGETALL', state) } end
if r[1] ~= ARGV[1] or r[2] ~= ARGV[2] then return as_it_is() end

local function id(s)
  local a, b = string.match(s or '', '^(%d+)-(%d+)$')
  return { tonumber(a or '0'), tonumber(b or '0') }
end
local function after(a, b) return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2]) end
local function text(a) return string.format('%.0f-%.0f', a[1], a[2]) end
local function last_of(stream)
  local e = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', '1')
  if e[1] then return id(e[1][1]) end
  return { 0, 0 }
end

local serving = r[3]
local to = serving
local fields = {}
local function set(k, v) fields[#fields + 1] = k; fields[#fields + 1] = v end

if what == 'trip' then
  if serving ~= 'primary' then return as_it_is() end
  to = 'local'
  -- Ids go on from the last one ever given, also if the clock has stepped back or the stream is new.
  local last, floor = id(r[5]), id(r[6])
  if after(floor, last) then last = floor end
  local first = { now, 0 }
  if not after(first, last) then first = { last[1], last[2] + 1 } end
  if redis.call('EXISTS', journal) == 0 then
    redis.call('XADD', journal, text(first), 'o|||', '')
    -- A name says nothing of the key once the primary has served: those before this do not count.
    redis.call('DEL', KEYS[7])
    set('names', '')
    set('begun', text(first))
    r[9] = ''
  end
  -- The primary has served since: what was known of its keys is not so any more, and what it refused is old.
  redis.call('DEL', KEYS[5], KEYS[6])
  set('spent', '0')
  set('pace', '0')
  if ARGV[13] ~= '' and redis.call('HGET', state, 'addr') == '' then set('addr', ARGV[13]) end
elseif what == 'shut' then
  if serving ~= 'local' or r[8] == 'local' then return as_it_is() end
  to = 'closing'
  local name = journal .. ':' .. string.format('%.0f', tonumber(r[2]) + 1)
  local last = last_of(journal)
  if redis.call('EXISTS', journal) == 1 then
    if redis.call('RENAMENX', journal, name) == 0 then return as_it_is() end
  end
  if after(last, id(r[5])) then set('last', text(last)) end
  set('closed', name)
elseif what == 'undo' or what == 'late' then
  if serving ~= 'closing' then return as_it_is() end
  if what == 'late' and now - tonumber(r[4]) < tonumber(ARGV[12]) then return as_it_is() end
  to = 'local'
  if redis.call('EXISTS', r[7]) == 1 then redis.call('RENAMENX', r[7], journal) end
  set('closed', '')
elseif what == 'finish' then
  if serving ~= 'closing' or r[8] == 'local' then return as_it_is() end
  if after(last_of(r[7]), id(r[6])) then return as_it_is() end
  to = 'primary'
  if redis.call('EXISTS', r[7]) == 1 then
    redis.call('RPUSH', KEYS[4], r[7])
    redis.call('PEXPIRE', r[7], ARGV[12])
  end
  set('pace', '0')
  set('names', '')
  redis.call('UNLINK', KEYS[7])
elseif what ~= 'pin' then
  return redis.error_reply('ERR no such change')
end

local epoch = string.format('%.0f', tonumber(r[2]) + 1)
if what ~= 'shut' and what ~= 'undo' and what ~= 'late' then
  set('reason', ARGV[6])
  if what ~= 'pin' then
    set('cause', ARGV[7]); set('kind', ARGV[8]); set('limit', ARGV[9]); set('usage', ARGV[10])
  end
end
if ARGV[11] ~= '=' then set('pin', ARGV[11]) end
-- While closing, since is when it began; else when this server began to serve.
if to ~= serving and what ~= 'undo' and what ~= 'late' then
  if what == 'shut' then set('opened', r[4]) end
  set('since', ms)
elseif what == 'undo' or what == 'late' then
  set('since', redis.call('HGET', state, 'opened') or ms)
end
redis.call('HSET', state, 'epoch', epoch, 'serving', to, 'by', ARGV[5], unpack(fields))
local fenced = r[1] .. ' ' .. epoch .. ' ' .. to
-- A journal that has been past its first limit goes on as one that is.
if to == 'local' and r[9] and r[9] ~= '' then fenced = fenced .. ' ' .. r[9] end
redis.call('SET', fence, fenced)
redis.call('PUBLISH', ARGV[4], epoch)
return { 1, ms, redis.call('HGETALL', state) }
