-- Forgets a process that has delivered all it had. After the last one another service may have local.
-- ARGV: the process, its word, how many sets of claims there may be.
redis.call('SELECT', DATABASE)
local me = redis.call('HGET', PROCESSES, ARGV[1])
if not me or string.match(me, '^%d+ %d+ (%S+)') ~= ARGV[2] then return 0 end
redis.call('HDEL', PROCESSES, ARGV[1])
for slot = 0, tonumber(ARGV[3]) - 1 do redis.call('UNLINK', CLAIMS .. ARGV[1] .. ':' .. slot) end
if redis.call('HLEN', PROCESSES) == 0 then
  local dbs = redis.call('SMEMBERS', DBS)
  dbs[#dbs + 1] = HOME
  for _, db in ipairs(dbs) do
    if string.match(redis.call('HGET', MIRRORS, db) or '', '^%d+ (.*)$') == NAME then
      redis.call('HSET', MIRRORS, db, '0 ' .. NAME)
    end
  end
end
return 1
