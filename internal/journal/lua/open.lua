-- Makes the record where there is none. KEYS: state, fence. ARGV: id, hash of the primary's address.
local t = redis.call('TIME')
local ms = t[1] .. string.format('%03d', math.floor(tonumber(t[2]) / 1000))
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'primary', '', 'addr', ARGV[2], 'epoch', '1', 'serving', 'primary',
    'since', ms, 'reason', 'start', 'cause', '', 'kind', '', 'limit', '0', 'usage', '0', 'pin', '',
    'floor', '0-0', 'last', '0-0', 'doubt', '0-0', 'closed', '', 'by', '', 'pace', '0', 'spent', '0')
  redis.call('SET', KEYS[2], ARGV[1] .. ' 1 primary')
end
return { ms, redis.call('HGETALL', KEYS[1]) }
