-- Forgets a process that has died, when the keys that it may have written are deleted.
-- ARGV: the fence, the process, what it said of itself last, how many sets of claims there may be, and
-- whether it had any: then local is no longer complete.
redis.call('SELECT', DATABASE)
if redis.call('GET', FENCE) ~= ARGV[1] then return -1 end
if redis.call('HGET', PROCESSES, ARGV[2]) ~= ARGV[3] then return 0 end
redis.call('HDEL', PROCESSES, ARGV[2])
for slot = 0, tonumber(ARGV[4]) - 1 do redis.call('UNLINK', CLAIMS .. ARGV[2] .. ':' .. slot) end
if ARGV[5] == '1' then
  redis.call('HDEL', META, 'complete')
  redis.call('UNLINK', UNSURE)
end
return 1
