-- Deletes every key of the user's on local, since nothing is known of them any more.
-- ARGV: the fence, and after how many ms a process that is off is not waited for any more.
-- It answers with how many there were, -1 where the fence is another, or -2 while processes are off: what
-- they write nobody is told of.
redis.call('SELECT', DATABASE)
if redis.call('GET', FENCE) ~= ARGV[1] then return -1 end
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local off, waits = redis.call('HGETALL', OFF), false
for i = 1, #off, 2 do
  if now / 1000 - off[i + 1] > tonumber(ARGV[2]) then
    redis.call('HDEL', OFF, off[i]) -- should it wake up, it is noticed
  else
    waits = true
  end
end
if waits then return -2 end
local future = tonumber(redis.call('HGET', META, 'future') or 0)
redis.call('HDEL', META, 'complete', 'empty', 'late')
redis.call('HSET', META, 'void', string.format('%d', math.max(now, future)))
redis.call('UNLINK', UNSURE, PARTIAL)
local recent = RECENT .. (string.match(ARGV[1], ' (%d+) ') or '') .. ':'
local window = math.floor(now / WINDOW)
-- Who was to be deleted, or gone, is no longer known; what comes is ordered by the time set above.
for w = window - 1, window + 1 do redis.call('UNLINK', recent .. string.format('%d', w)) end
local dbs, n = redis.call('SMEMBERS', DBS), 0
dbs[#dbs + 1] = HOME
for _, db in ipairs(dbs) do
  if db ~= DATABASE then
    redis.call('SELECT', db)
    n = n + redis.call('DBSIZE')
    redis.call('FLUSHDB', 'ASYNC')
  end
end
return n
