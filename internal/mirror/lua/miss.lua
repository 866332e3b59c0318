-- Notes which of some keys local does not have, although the primary may. KEYS: unsure, meta.
-- ARGV: the journal's database, the most that are noted, and for each key the database it lies in, and
-- its name in the set.
local missed = {}
local at = ''
for i = 3, #ARGV, 3 do
  if ARGV[i] ~= at then at = ARGV[i]; redis.call('SELECT', at) end
  if redis.call('EXISTS', ARGV[i + 1]) == 0 then missed[#missed + 1] = ARGV[i + 2] end
end
redis.call('SELECT', ARGV[1])
for i = 1, #missed do redis.call('SADD', KEYS[1], missed[i]) end
if redis.call('SCARD', KEYS[1]) > tonumber(ARGV[2]) then
  -- Too many to remember: that something is absent says nothing then.
  redis.call('HDEL', KEYS[2], 'complete', 'syncing')
  redis.call('DEL', KEYS[1])
end
return #missed
