-- Marks that entries up to an id are about to be delivered, if the record is still the one they were read
-- under: an epoch in which no stream was renamed. KEYS: state, redo. ARGV: id, epoch ('' any), the entry's id.
-- Answers 1 if it is, local's time, the record, and how many letters are to be sent again.
local t = redis.call('TIME')
local ms = t[1] .. string.format('%03d', math.floor(tonumber(t[2]) / 1000))
local r = redis.call('HMGET', KEYS[1], 'id', 'epoch', 'doubt')
local function id(s)
  local a, b = string.match(s or '', '^(%d+)-(%d+)$')
  return { tonumber(a or '0'), tonumber(b or '0') }
end
local done = 0
if r[1] == ARGV[1] and (ARGV[2] == '' or r[2] == ARGV[2]) then
  done = 1
  local to, doubt = id(ARGV[3]), id(r[3])
  -- It never goes down: another drain may have begun more.
  if to[1] > doubt[1] or (to[1] == doubt[1] and to[2] > doubt[2]) then
    redis.call('HSET', KEYS[1], 'doubt', ARGV[3])
  end
end
return { done, ms, redis.call('HGETALL', KEYS[1]), redis.call('LLEN', KEYS[2]) }
