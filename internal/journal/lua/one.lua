-- Runs one write on local and writes down that it did, as one step: the short form of write.lua for what
-- is written down as it was given, or its beginning. What does not change is part of the text: a longer
-- call costs more than all of this.
-- ARGV: the fence that must stand there, the user's database, the header of the entry, the place of the
-- key whose deadline matters (0 none), how to look at the reply (n: nil is that nothing was done; g and h:
-- an integer that may be beyond 2^53, of a string or a hash; 3: in the form of RESP3), the place of the
-- last argument that is written down, and the arguments, an empty one behind them where that makes pairs.
local call, how = redis.call, ARGV[5]
call('SELECT', DATABASE)
local f = call('GET', FENCE)
if f ~= ARGV[1] then
  if f == ARGV[1] .. ' full' then return { err = 'JOURNALFULL the journal on local is full' } end
  if f == ARGV[1] .. ' names' or f == ARGV[1] .. ' names full' then return { err = 'JOURNALNAMES the keys are wanted' } end
  return { err = 'JOURNALFENCED ' .. (f or '') }
end
call('SELECT', ARGV[2])
if how == '3' then redis.setresp(3) end
local last, args = tonumber(ARGV[6]), #ARGV
-- What was not there before, and is not wholly made: the primary may have the rest of it.
local begun = MIRRORED and ARGV[4] ~= '0' and how ~= 'n' and call('EXISTS', ARGV[8 + tonumber(ARGV[4])]) == 0
local r = redis.pcall(unpack(ARGV, 8, args - tonumber(ARGV[7])))
if type(r) == 'table' and r.err or how == 'n' and not r then return r end
local header, key = ARGV[3], ARGV[4]
if key ~= '0' then
  local t = call('PEXPIRETIME', ARGV[8 + tonumber(key)])
  if t >= 0 then
    header = header .. '0.' .. key .. '=' .. string.format('%.0f', t)
  elseif how == 'n' then
    header = header .. '0.' .. key .. '=0'
  end
  begun = begun and t ~= -2
end
if type(r) == 'number' and (how == 'g' or how == 'h') and (r >= 9007199254740992 or r <= -9007199254740992) then
  if how == 'g' then r = call('GET', ARGV[9]) else r = call('HGET', ARGV[9], ARGV[10]) end
end
call('SELECT', DATABASE)
if begun then
  local name = (ARGV[2] == HOME and '' or ARGV[2]) .. '|' .. ARGV[8 + tonumber(key)]
  if call('HGET', META, 'complete') ~= '1' or call('SISMEMBER', UNSURE, name) == 1 then call('SADD', PARTIAL, name) end
end
if last == args then
  call('XADD', STREAM, '*', header, unpack(ARGV, 8))
elseif last % 2 == 0 then
  call('XADD', STREAM, '*', header, unpack(ARGV, 8, last))
else
  local list = { unpack(ARGV, 8, last) }
  list[#list + 1] = ''
  call('XADD', STREAM, '*', header, unpack(list))
end
if how == '3' then redis.setresp(2) end
return r
