-- Notes which of some keys local does not have, although the primary may. KEYS: unsure, sync.
-- ARGV: the journal's database, the most that are noted, and for each key the database it lies in, the
-- key, and its name in the set.
local missed = {}
local at = ''
for i = 3, #ARGV, 3 do
  if ARGV[i] ~= at then at = ARGV[i]; redis.call('SELECT', at) end
  if redis.call('EXISTS', ARGV[i + 1]) == 0 then missed[#missed + 1] = ARGV[i + 2] end
end
redis.call('SELECT', ARGV[1])
for i = 1, #missed do
  if redis.call('SCARD', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('SADD', KEYS[1], missed[i])
  else
    redis.call('HSET', KEYS[2], 'missed', '1') -- too many to remember
  end
end
return #missed
