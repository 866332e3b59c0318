-- Writes names down once more, behind all that there is: whoever delivered them has not said what came of
-- it. KEYS: state, journal, names. ARGV: id, epoch, then for each its database as the entry has it, that on
-- local, and the key. Answers 1 if it did.
local r = redis.call('HMGET', KEYS[1], 'id', 'epoch', 'serving', 'closed')
if r[1] ~= ARGV[1] or r[2] ~= ARGV[2] or r[3] == 'primary' then return 0 end
local stream = KEYS[2]
if r[3] == 'closing' then stream = r[4] end
for i = 3, #ARGV, 3 do
  local id = redis.call('XADD', stream, '*', 'n|' .. ARGV[i] .. '|3|', '!name', ARGV[i + 2], ARGV[i + 1])
  redis.call('HSET', KEYS[3], ARGV[i + 1] .. '|' .. ARGV[i + 2], id)
end
return 1
