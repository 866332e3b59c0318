-- Makes databases beside the home database the mirror's: what they hold that no mirror put there is deleted.
-- ARGV: the fence, the databases. It answers with how many keys that were, or -1 where the fence is another.
redis.call('SELECT', DATABASE)
if redis.call('GET', FENCE) ~= ARGV[1] then return -1 end
local clock, n = redis.call('TIME'), 0
for i = 2, #ARGV do
  local db = ARGV[i]
  redis.call('SELECT', DATABASE)
  local seen, name = string.match(redis.call('HGET', MIRRORS, db) or '', '^(%d+) (.*)$')
  local theirs = name and name ~= NAME and clock[1] * 1000 - seen < OWNED
  if db ~= DATABASE and db ~= HOME and not theirs and redis.call('SADD', DBS, db) == 1 then
    redis.call('SELECT', db)
    n = n + redis.call('DBSIZE')
    redis.call('FLUSHDB', 'ASYNC')
  end
end
return n
