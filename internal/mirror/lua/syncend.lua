-- Ends a sync. KEYS: sync, meta, unsure. ARGV: its id, '1' if it left nothing out that it did not note.
-- Answers whether local is complete now, and how many keys it is known not to have.
local same = redis.call('HGET', KEYS[2], 'syncing') == ARGV[1]
redis.call('DEL', KEYS[1])
redis.call('HDEL', KEYS[2], 'syncing')
if same and ARGV[2] == '1' then redis.call('HSET', KEYS[2], 'complete', '1') end
return { redis.call('HEXISTS', KEYS[2], 'complete'), redis.call('SCARD', KEYS[3]) }
