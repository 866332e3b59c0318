-- Says that a process lives, whoever serves.
-- ARGV: the process, the numbers of this batch and of the last one that it had an answer to, what it says
-- of itself, the server's run id, and its name among those that are off, which it is not.
-- It answers with the time, the processes, what the meta says of completeness, whether all must go, and how
-- many keys local holds otherwise than the primary.
redis.call('SELECT', DATABASE)
local clock = redis.call('TIME')
local me = redis.call('HGET', PROCESSES, ARGV[1])
if not me then return { 'GONE', clock[1], clock[2] } end
local seq, token = string.match(me, '^%d+ (%d+) (%S+)')
if token ~= string.match(ARGV[4], '^%S+') then return { 'GONE', clock[1], clock[2] } end
if tonumber(seq) < tonumber(ARGV[3]) then return { 'LOST', clock[1], clock[2] } end
local ms = string.format('%d', clock[1] * 1000 + clock[2] / 1000)
redis.call('HDEL', PROCESSES, '') -- a first write that memory does not matter for
redis.call('HDEL', OFF, ARGV[6])
redis.call('HSET', PROCESSES, ARGV[1], ms .. ' ' .. ARGV[2] .. ' ' .. ARGV[4])
redis.call('HSET', META, 'run', ARGV[5])
redis.call('HSET', MIRRORS, HOME, ms .. ' ' .. NAME)
for _, db in ipairs(redis.call('SMEMBERS', DBS)) do
  local name = string.match(redis.call('HGET', MIRRORS, db) or '', '^%d+ (.*)$')
  if name and name ~= NAME then
    redis.call('SREM', DBS, db)
  else
    redis.call('HSET', MIRRORS, db, ms .. ' ' .. NAME)
  end
end
local m = redis.call('HMGET', META, 'complete', 'empty')
return { 'OK', clock[1], clock[2], redis.call('HGETALL', PROCESSES), m[1] or '', m[2] or '', redis.call('SCARD', PARTIAL) }
