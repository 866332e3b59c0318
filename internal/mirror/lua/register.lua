-- Makes a process known, under a number of its own.
-- ARGV: a word that only the process knows, the server's run id, whether it claims all keys (1 or 0).
-- It answers with the number, the time, and whether nothing is known of local's keys: it was never
-- mirrored to, or it has restarted and nobody is left who could tell whether it has lost anything.
redis.call('SELECT', DATABASE)
local clock = redis.call('TIME')
redis.call('HDEL', PROCESSES, '') -- a first write that memory does not matter for
local run = redis.call('HGET', META, 'run')
if not run or run ~= ARGV[2] and redis.call('HLEN', PROCESSES) == 0 then redis.call('HSET', META, 'empty', '1') end
redis.call('HSET', META, 'run', ARGV[2])
local id = string.format('%d', redis.call('HINCRBY', META, 'ids', 1))
local ms = string.format('%d', clock[1] * 1000 + clock[2] / 1000)
redis.call('HSET', PROCESSES, id, ms .. ' 0 ' .. ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
return { id, clock[1], clock[2], redis.call('HEXISTS', META, 'empty') }
