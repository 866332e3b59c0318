-- Begins a sync, or goes on with one. KEYS: sync. ARGV: id of a new one, match, bytes, keys, '1' anew.
-- Answers the state of the one that is gone on with, or nothing.
local s = redis.call('HMGET', KEYS[1], 'id', 'match', 'bytes')
if ARGV[5] ~= '1' and s[1] and s[2] == ARGV[2] and s[3] == ARGV[3] then
  return redis.call('HGETALL', KEYS[1])
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'match', ARGV[2], 'bytes', ARGV[3], 'keys', ARGV[4])
return {}
