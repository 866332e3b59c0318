-- Takes a lease, or renews it. KEYS: lease. ARGV: holder, ms. Answers 1 if it is the holder's, the time left, who has it.
local holder = redis.call('GET', KEYS[1])
if not holder or holder == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return { 1, tonumber(ARGV[2]), ARGV[1] }
end
return { 0, redis.call('PTTL', KEYS[1]), holder }
