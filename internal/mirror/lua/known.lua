-- Says which of some keys need not be read from the primary. KEYS: unsure, meta. ARGV: the journal's
-- database, and for each key the database it lies in, the key, and its name in the set. Answers, for each,
-- 1 if local has it, or is complete and knows that there is none.
local complete = redis.call('HGET', KEYS[2], 'complete') == '1'
local known = {}
local at, there = '', false -- local may have fewer databases than the primary
for i = 2, #ARGV, 3 do
  if ARGV[i] ~= at then
    at = ARGV[i]
    local r = redis.pcall('SELECT', at)
    there = type(r) ~= 'table' or not r.err
  end
  known[#known + 1] = there and redis.pcall('EXISTS', ARGV[i + 1]) or 0
end
redis.pcall('SELECT', ARGV[1])
if complete then
  for i = 1, #known do
    if known[i] == 0 then known[i] = 1 - redis.call('SISMEMBER', KEYS[1], ARGV[3 * i + 1]) end
  end
end
return known
