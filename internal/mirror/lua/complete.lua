-- Begins to keep the names of unsure keys (ARGV[2] 0), or says that but for them local is complete (1).
-- ARGV[1]: the fence. It answers with 1 where it did, 0 where something was missed, -1 for another fence.
redis.call('SELECT', DATABASE)
if redis.call('GET', FENCE) ~= ARGV[1] then return -1 end
if redis.call('HEXISTS', META, 'empty') == 1 then return 0 end
if ARGV[2] == '1' then
  if redis.call('HEXISTS', META, 'complete') == 0 then return 0 end
else
  redis.call('UNLINK', UNSURE)
end
redis.call('HSET', META, 'complete', ARGV[2])
return 1
