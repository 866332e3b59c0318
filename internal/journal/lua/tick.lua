-- What a process does at each beat: says that it is alive, and sees all there is to see.
-- KEYS: state, processes, journal, dead, lease of the prober, lease of the drainer, fence,
-- names.
-- ARGV: process ('' only looks), its text, how long it counts as alive, entries and bytes past which the
-- journal keeps names (0 never), and
-- is full at twice as much; 1 if it is full there already, ? if that
-- is not known.
local t = redis.call('TIME')
local ms = t[1] .. string.format('%03d', math.floor(tonumber(t[2]) / 1000))
local now = tonumber(ms)
if ARGV[1] ~= '' then redis.call('HSET', KEYS[2], ARGV[1], ms .. ' ' .. ARGV[2]) end
local all = redis.call('HGETALL', KEYS[2])
for i = 2, #all, 2 do
  local seen = tonumber(string.match(all[i], '^%d+') or '0')
  if now - seen > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[2], all[i - 1]) end
end
local s = redis.call('HMGET', KEYS[1], 'serving', 'closed', 'floor')
local stream = KEYS[3]
if s[1] == 'closing' and s[2] and s[2] ~= '' then stream = s[2] end
local entries, bytes, oldest = redis.call('XLEN', stream), 0, ''
if entries > 0 then
  bytes = redis.call('MEMORY', 'USAGE', stream) or 0
  local first = redis.call('XRANGE', stream, '(' .. (s[3] or '0-0'), '+', 'COUNT', '2')
  -- The marker that a journal is opened with is nothing to deliver.
  if first[1] and string.sub(first[1][2][1], 1, 2) == 'o|' then table.remove(first, 1) end
  if first[1] then oldest = first[1][1] end
end
-- How far the journal has come is said by the fence, which every write looks at anyway.
local r = redis.call('HMGET', KEYS[1], 'id', 'epoch', 'serving', 'names')
local step = r[4] or ''
bytes = bytes + (redis.call('MEMORY', 'USAGE', KEYS[8]) or 0)
if ARGV[1] ~= '' and r[1] and r[2] and r[3] then
  local most, room = tonumber(ARGV[4]), tonumber(ARGV[5])
  local function past(times)
    return (most > 0 and entries >= most * times) or (room > 0 and bytes >= room * times)
  end
  if r[3] == 'local' then
    if ARGV[6] == '?' then -- it stays
    elseif string.sub(step, 1, 5) == 'names' or past(1) and ARGV[6] == '' then
      -- It does not go back: what was written down of a key behind its name would be delivered twice.
      step = past(2) and 'names full' or 'names'
    else
      step = past(1) and 'full' or ''
    end
    if step ~= (r[4] or '') then redis.call('HSET', KEYS[1], 'names', step) end
  end
  -- The two are changed together: one that does not go with the record was evicted, or deleted by hand.
  local right = r[1] .. ' ' .. r[2] .. ' ' .. r[3]
  if r[3] == 'local' and step ~= '' then right = right .. ' ' .. step end
  if redis.call('GET', KEYS[7]) ~= right then redis.call('SET', KEYS[7], right) end
end
-- Nobody drains, so nobody takes back what writers were asked to wait.
if redis.call('EXISTS', KEYS[6]) == 0 and (redis.call('HGET', KEYS[1], 'pace') or '0') ~= '0' then
  redis.call('HSET', KEYS[1], 'pace', '0')
end
local function lease(key) return { redis.call('GET', key) or '', redis.call('PTTL', key) } end
return { ms, redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]), lease(KEYS[5]), lease(KEYS[6]),
  entries, bytes, oldest, redis.call('HLEN', KEYS[4]), redis.call('HLEN', KEYS[8]) }
