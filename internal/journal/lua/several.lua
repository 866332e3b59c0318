-- Runs several writes on local and writes down that it did, as one step: the short form of write.lua for
-- what is written down as it was given. It answers with the list of the replies.
-- ARGV: the fence that must stand there, the user's database, the header of the entry, the plan, 1 if the
-- last argument only makes pairs, and the arguments.
-- plan: for each run of like commands its length, the number of arguments, and the place of the key whose
-- deadline matters (0 none), 1 if it answers with an integer.
local call, pcall = redis.call, redis.pcall
call('SELECT', DATABASE)
local f = call('GET', FENCE)
if f ~= ARGV[1] then
  if f == ARGV[1] .. ' full' then return { err = 'JOURNALFULL the journal on local is full' } end
  if f == ARGV[1] .. ' names' or f == ARGV[1] .. ' names full' then return { err = 'JOURNALNAMES the keys are wanted' } end
  return { err = 'JOURNALFENCED ' .. (f or '') }
end
call('SELECT', ARGV[2])
local replies, seen, at, failed, due, begun = {}, 0, 6, false, '', {}
for times, n, key, whole in string.gmatch(ARGV[4], '(%d+)x(%d+):(%d+):(%d)') do
  n, key, whole = tonumber(n), tonumber(key), whole == '1'
  for _ = 1, tonumber(times) do
    -- What was not there before, and is not wholly made: the primary may have the rest of it.
    local new = MIRRORED and key > 0 and call('EXISTS', ARGV[at + key]) == 0
    local r = pcall(unpack(ARGV, at, at + n - 1))
    if type(r) == 'table' and r.err then
      failed = failed or {}
      failed[seen + 1] = true
    elseif key > 0 then
      local t = call('PEXPIRETIME', ARGV[at + key])
      if new and t ~= -2 then begun[#begun + 1] = (ARGV[2] == HOME and '' or ARGV[2]) .. '|' .. ARGV[at + key] end
      if t >= 0 then
        if due ~= '' then due = due .. ',' end
        due = due .. seen .. '.' .. key .. '=' .. string.format('%.0f', t)
      end
      if whole and type(r) == 'number' and (r >= 9007199254740992 or r <= -9007199254740992) then
        if n == 4 then r = call('HGET', ARGV[at + 1], ARGV[at + 2]) else r = call('GET', ARGV[at + 1]) end
      end
    end
    seen = seen + 1
    replies[seen] = r
    at = at + n
  end
end
local header = ARGV[3]
call('SELECT', DATABASE)
if #begun > 0 then
  local complete = call('HGET', META, 'complete') == '1'
  for i = 1, #begun do
    if not complete or call('SISMEMBER', UNSURE, begun[i]) == 1 then call('SADD', PARTIAL, begun[i]) end
  end
end
if not failed then
  call('XADD', STREAM, '*', header .. due, unpack(ARGV, 6))
  return replies
end
-- What failed is left out, and the places of the deadlines move with it.
local args, counts, moved, kept = {}, {}, {}, 0
at, seen = 6, 0
for times, n in string.gmatch(ARGV[4], '(%d+)x(%d+)') do
  for _ = 1, tonumber(times) do
    if not failed[seen + 1] then
      for i = at, at + n - 1 do args[#args + 1] = ARGV[i] end
      counts[#counts + 1] = n
      moved[seen], kept = kept, kept + 1
    end
    seen = seen + 1
    at = at + n
  end
end
if kept > 0 then
  due = string.gsub(due, '(%d+)(%.%d+=%d+)', function(i, rest) return string.format('%d', moved[tonumber(i)]) .. rest end)
  if #args % 2 == 0 then args[#args + 1] = '' end
  call('XADD', STREAM, '*', string.match(header, '^[^|]*|[^|]*|') .. table.concat(counts, ',') .. '|' .. due, unpack(args))
end
return replies
