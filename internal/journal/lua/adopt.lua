-- Records the fingerprint of the primary. KEYS: state. ARGV: id, the one that was recorded, the new one.
-- Answers 1 if that was the one.
local r = redis.call('HMGET', KEYS[1], 'id', 'primary')
if r[1] ~= ARGV[1] or r[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'primary', ARGV[3])
return 1
