-- Notes which of some keys local does not have, although the primary may, as apply.lua does.
-- KEYS: unsure, meta. ARGV: the journal's database, the most that are noted, and for each key the database
-- it lies in, the key, and its name in the set.
if redis.call('HEXISTS', KEYS[2], 'complete') == 0 then return 0 end
local missed = {}
local at, there = '', false -- local may have fewer databases than the primary
for i = 3, #ARGV, 3 do
  if ARGV[i] ~= at then
    at = ARGV[i]
    local r = redis.pcall('SELECT', at)
    there = type(r) ~= 'table' or not r.err
  end
  if not there or redis.pcall('EXISTS', ARGV[i + 1]) == 0 then missed[#missed + 1] = ARGV[i + 2] end
end
redis.pcall('SELECT', ARGV[1])
for i = 1, #missed do redis.call('SADD', KEYS[1], missed[i]) end
if redis.call('SCARD', KEYS[1]) > tonumber(ARGV[2]) then
  -- Too many to remember: that a key is absent will say nothing.
  redis.call('HDEL', KEYS[2], 'complete')
  redis.call('UNLINK', KEYS[1])
end
return #missed
