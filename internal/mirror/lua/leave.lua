-- Forgets a process that has delivered all it had.
-- ARGV: the process, its word, how many sets of claims there may be.
redis.call('SELECT', DATABASE)
local me = redis.call('HGET', PROCESSES, ARGV[1])
if not me or string.match(me, '^%d+ %d+ (%S+)') ~= ARGV[2] then return 0 end
redis.call('HDEL', PROCESSES, ARGV[1])
for slot = 0, tonumber(ARGV[3]) - 1 do redis.call('UNLINK', CLAIMS .. ARGV[1] .. ':' .. slot) end
return 1
