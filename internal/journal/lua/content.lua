-- Reads keys of local whole. ARGV: how many items one call may read, then a database and a key for each.
-- Answers for each its type, its deadline in ms (-1 none), and what it holds: a text, a list of texts, or
-- for the types that have no list of their own what DUMP says. It ends after the key that is one too many.
local all, left = {}, tonumber(ARGV[1])
local call = redis.call
for i = 2, #ARGV, 2 do
  if left <= 0 then break end
  call('SELECT', ARGV[i])
  local key = ARGV[i + 1]
  local kind, value = call('TYPE', key).ok, ''
  if kind == 'string' then
    value = call('GET', key)
    left = left - 1 - math.floor(#value / 64)
  elseif kind == 'list' then
    value = call('LRANGE', key, '0', '-1')
  elseif kind == 'set' then
    value = call('SMEMBERS', key)
  elseif kind == 'zset' then
    value = call('ZRANGE', key, '0', '-1', 'WITHSCORES')
  elseif kind == 'hash' then
    value = call('HGETALL', key)
    -- Fields with deadlines of their own, of Redis 7.4: DUMP has them.
    for j = 1, #value, 2000 do
      local fields = {}
      for k = j, math.min(j + 1999, #value), 2 do fields[#fields + 1] = value[k] end
      local t = redis.pcall('HPEXPIRETIME', key, 'FIELDS', #fields, unpack(fields))
      if t.err then break end
      for k = 1, #t do
        if t[k] > 0 then kind = 'other' end
      end
    end
  end
  if kind ~= 'none' and kind ~= 'string' and type(value) == 'string' or kind == 'other' then
    kind, value = 'other', call('DUMP', key)
  end
  if type(value) == 'table' then left = left - #value end
  all[#all + 1] = { kind, kind == 'none' and -2 or call('PEXPIRETIME', key), value }
end
return all
