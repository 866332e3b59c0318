-- Deletes keys that local holds otherwise than the primary: what writes have begun there while it served, and
-- not made wholly.
-- ARGV: the fence, how many.
-- It answers with their names, or -1 where the fence is another.
redis.call('SELECT', DATABASE)
if redis.call('GET', FENCE) ~= ARGV[1] then return -1 end
local names = redis.call('SPOP', PARTIAL, ARGV[2])
if #names == 0 then return names end
local unsure = {}
for _, name in ipairs(names) do
  local db, key = string.match(name, '^(%d*)|(.*)$')
  if db then
    if db == '' then db = HOME end
    redis.call('SELECT', db)
    redis.call('UNLINK', key)
    unsure[#unsure + 1] = (db == HOME and '' or db) .. '|' .. key
  end
end
redis.call('SELECT', DATABASE)
if #unsure > 0 and redis.call('HEXISTS', META, 'complete') == 1 then redis.call('SADD', UNSURE, unpack(unsure)) end
return names
