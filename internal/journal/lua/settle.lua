-- Records what has been delivered. KEYS: state, journal, kept, dead, redo, deadlines.
-- ARGV: id, position, the floor that must hold ('' any), commands spent, how long delivered entries stay
-- (ms), the position that the primary has if it could not be set ('' it was), how many arguments letters
-- take, for each of these its id, its text, and '1' if it is to be sent again, then keys and their
-- deadlines ('' none).
-- Answers 1 if it did, local's time, the record, and how many letters are to be sent again.
local t = redis.call('TIME')
local ms = t[1] .. string.format('%03d', math.floor(tonumber(t[2]) / 1000))
local now = tonumber(ms)
local r = redis.call('HMGET', KEYS[1], 'id', 'floor', 'doubt', 'serving')
local function answer(done)
  return { done, ms, redis.call('HGETALL', KEYS[1]), redis.call('LLEN', KEYS[5]) }
end
if r[1] ~= ARGV[1] or (ARGV[3] ~= '' and r[2] ~= ARGV[3]) then return answer(0) end
local function id(s)
  local a, b = string.match(s or '', '^(%d+)-(%d+)$')
  return { tonumber(a or '0'), tonumber(b or '0') }
end
local function after(a, b) return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2]) end

local floor, to = id(r[2]), id(ARGV[2])
if after(to, floor) then
  floor = to
  redis.call('HSET', KEYS[1], 'floor', ARGV[2])
end
-- What another drain has begun beyond the floor stays in doubt.
if not after(id(r[3]), floor) then redis.call('HSET', KEYS[1], 'doubt', '0-0') end
if tonumber(ARGV[4]) > 0 then redis.call('HINCRBY', KEYS[1], 'spent', ARGV[4]) end

redis.call('HSET', KEYS[1], 'behind', ARGV[6])

local letters = 7 + tonumber(ARGV[7])
for i = 8, letters, 3 do
  redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1])
  -- Once the primary serves again, an old write must not come after newer ones by itself.
  if ARGV[i + 2] == '1' and r[4] ~= 'primary' then redis.call('RPUSH', KEYS[5], ARGV[i]) end
end

for i = letters + 1, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[6], ARGV[i])
  else
    redis.call('HSET', KEYS[6], ARGV[i], ARGV[i + 1])
  end
end

local limit = now - tonumber(ARGV[5])
if redis.call('EXISTS', KEYS[2]) == 1 then
  local least = { limit, 0 }
  if after(least, floor) then least = floor end
  if least[1] > 0 then
    redis.call('XTRIM', KEYS[2], 'MINID', '~', string.format('%.0f-%.0f', least[1], least[2]))
  end
end
-- Streams that were kept long enough have expired.
local oldest = redis.call('LINDEX', KEYS[3], '0')
while oldest and redis.call('EXISTS', oldest) == 0 do
  redis.call('LPOP', KEYS[3])
  oldest = redis.call('LINDEX', KEYS[3], '0')
end
return answer(1)
