-- What a process does at each beat: says that it is alive, and sees all there is to see.
-- KEYS: state, processes, journal, dead, lease of the prober, lease of the drainer, fence.
-- ARGV: process ('' only looks), its text, how long it counts as alive, entries and bytes at which the
-- journal is full (0 never), holding limits.
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
-- A full journal is said by the fence, which every write looks at anyway.
local fence = redis.call('GET', KEYS[7]) or ''
local full = string.sub(fence, -5) == ' full'
local r = redis.call('HMGET', KEYS[1], 'id', 'epoch', 'serving')
if ARGV[1] ~= '' and r[1] and r[2] and r[3] then
  -- The two are changed together: one that does not go with the record was evicted, or deleted by hand.
  local right = r[1] .. ' ' .. r[2] .. ' ' .. r[3]
  if fence ~= right and fence ~= right .. ' full' then
    redis.call('SET', KEYS[7], right)
    fence, full = right, false
  end
end
if s[1] == 'local' and ARGV[1] ~= '' then
  local most, room = tonumber(ARGV[4]), tonumber(ARGV[5])
  local over = (most > 0 and entries >= most) or (room > 0 and bytes >= room)
  if over and not full then
    redis.call('SET', KEYS[7], fence .. ' full')
  elseif full and not over then
    redis.call('SET', KEYS[7], string.sub(fence, 1, -6))
  end
  full = over
end
-- Nobody drains, so nobody takes back what writers were asked to wait.
if redis.call('EXISTS', KEYS[6]) == 0 and (redis.call('HGET', KEYS[1], 'pace') or '0') ~= '0' then
  redis.call('HSET', KEYS[1], 'pace', '0')
end
local function lease(key) return { redis.call('GET', key) or '', redis.call('PTTL', key) } end
return { ms, redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]), lease(KEYS[5]), lease(KEYS[6]),
  entries, bytes, oldest, redis.call('HLEN', KEYS[4]), full and 1 or 0 }
