-- Takes letters away that have been sent again, and puts those back that failed again.
-- KEYS: dead, redo. ARGV: a letter, how often it had been sent before that ('' whatever it says), '1' if it
-- stands for all of the redo list up to it, then for each letter that failed again its id, its text, and
-- '1' if it is to be sent again. Answers how many were there.
local gone = 0
local text = redis.call('HGET', KEYS[1], ARGV[1])
-- One that was sent and failed has another number of tries since.
local same = ARGV[2] == '' or (text and string.match(text, '^{"tries":(%d+)') == ARGV[2])
if same and ARGV[3] == '1' then
  local listed = redis.call('LRANGE', KEYS[2], '0', '-1')
  local at = 0
  for i = 1, #listed do
    if listed[i] == ARGV[1] then at = i end
  end
  for i = 1, at do
    gone = gone + redis.call('HDEL', KEYS[1], listed[i])
    redis.call('LPOP', KEYS[2])
  end
elseif same then
  gone = redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('LREM', KEYS[2], '0', ARGV[1])
end
for i = #ARGV - 2, 4, -3 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  if ARGV[i + 2] == '1' then redis.call('LPUSH', KEYS[2], ARGV[i]) end
end
return gone
