-- Says how long each write waits, so that a drain gets ahead. KEYS: state. ARGV: id, microseconds, channel.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'pace', ARGV[2])
redis.call('PUBLISH', ARGV[3], redis.call('HGET', KEYS[1], 'epoch'))
return 1
