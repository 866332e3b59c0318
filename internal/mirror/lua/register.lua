-- Makes a process known, under a number of its own, if this local may be mirrored to.
-- ARGV: a word that only the process knows, the server's run id, whether it claims all keys (1 or 0),
-- whether what local holds may be deleted although no mirror put it there (1 or 0), the process' name among
-- those that are off, and whether it is one of them (1 or 0).
-- It answers with OK, the time, the number, and whether nothing is known of local's keys: local has
-- restarted, say, and nobody is left who could tell whether it has lost anything. Or, and then the process is
-- off, with HELD and how many keys there are that no mirror put there, or OWNED and whose mirror this is.
redis.call('SELECT', DATABASE)
local clock = redis.call('TIME')
local ms = string.format('%d', clock[1] * 1000 + clock[2] / 1000)
redis.call('HDEL', PROCESSES, '') -- a first write that memory does not matter for
local owner = redis.call('HGET', MIRRORS, HOME)
local seen, name = string.match(owner or '', '^(%d+) (.*)$')
local other = name and name ~= NAME
local function off(why, what)
  redis.call('HSET', OFF, ARGV[5], ms)
  redis.call('PEXPIRE', OFF, OWNED)
  return { why, clock[1], clock[2], what }
end
if other and ms - seen < OWNED then return off('OWNED', name) end
-- What another service's mirror has left is not known to this one, whatever it put there before that.
local run = not other and redis.call('HGET', META, 'run')
if not run then
  redis.call('SELECT', HOME)
  local n = redis.call('DBSIZE')
  redis.call('SELECT', DATABASE)
  if n > 0 and ARGV[4] ~= '1' then return off('HELD', n) end
  redis.call('HDEL', META, 'complete', 'empty')
  redis.call('UNLINK', UNSURE, DBS, PROCESSES)
  -- Others may be off still, and write what nobody is told of: nothing counts before they are on.
  if n > 0 or redis.call('EXISTS', OFF) == 1 then redis.call('HSET', META, 'empty', '1') end
elseif run ~= ARGV[2] and redis.call('HLEN', PROCESSES) == 0 then
  redis.call('HSET', META, 'empty', '1')
elseif ARGV[6] == '1' and redis.call('HEXISTS', OFF, ARGV[5]) == 0 then
  redis.call('HSET', META, 'empty', '1') -- it was not waited for
end
if other then
  -- Should the other's processes wake up, they find that they are unknown.
  local theirs = 'fallback:' .. name .. ':mirror'
  redis.call('HDEL', theirs, 'run', 'complete')
  redis.call('HSET', theirs, 'empty', '1')
  redis.call('UNLINK', theirs .. ':processes', theirs .. ':unsure', theirs .. ':dbs')
end
redis.call('HSET', MIRRORS, HOME, ms .. ' ' .. NAME)
redis.call('HSET', META, 'run', ARGV[2])
local id = string.format('%d', redis.call('HINCRBY', META, 'ids', 1))
redis.call('HSET', PROCESSES, id, ms .. ' 0 ' .. ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
return { 'OK', clock[1], clock[2], id, redis.call('HEXISTS', META, 'empty') }
