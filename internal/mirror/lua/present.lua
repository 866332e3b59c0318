-- Takes keys out of the unsure set that local has. KEYS: unsure. ARGV: the journal's database, and for
-- each key the database it lies in, the key, and its name in the set. Answers, for each, 1 if local has it.
local has, out = {}, {}
local at, there = '', false -- local may have fewer databases than the primary
for i = 2, #ARGV, 3 do
  if ARGV[i] ~= at then
    at = ARGV[i]
    local r = redis.pcall('SELECT', at)
    there = type(r) ~= 'table' or not r.err
  end
  local n = there and redis.pcall('EXISTS', ARGV[i + 1]) or 0
  has[#has + 1] = n
  if n == 1 then out[#out + 1] = ARGV[i + 2] end
end
redis.pcall('SELECT', ARGV[1])
for i = 1, #out do redis.call('SREM', KEYS[1], out[i]) end
return has
