-- Deletes keys that writes have begun on local while it served, and not made wholly.
-- ARGV: the fence, how many.
-- It answers with their names, or -1 where the fence is another.
redis.call('SELECT', DATABASE)
if redis.call('GET', FENCE) ~= ARGV[1] then return -1 end
local names = redis.call('SPOP', PARTIAL, ARGV[2])
if #names == 0 then return names end
local tracked = redis.call('HEXISTS', META, 'complete') == 1
for _, name in ipairs(names) do
  local db, key = string.match(name, '^(%d*)|(.*)$')
  if db then
    if db == HOME then db = '' end
    if tracked then
      redis.call('SELECT', DATABASE)
      redis.call('SADD', UNSURE, db .. '|' .. key)
    end
    redis.call('SELECT', db == '' and HOME or db)
    redis.call('UNLINK', key)
  end
end
return names
