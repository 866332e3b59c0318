-- Runs writes on local and writes down what they did, as one step.
-- KEYS: fence, journal, names, state, and where local is kept warm also the partial keys, the mirror's meta,
-- its unsure keys. ARGV: the fence that must stand there, our database, the user's, the
-- name that it has in the entry, flags, plan, keys, and the arguments of the commands, one after the other.
-- flags: kind of the entry (w, t or s); then 3 where replies are those of RESP3; m where the reply is the
-- list of all replies; o where the commands have run already, in the transaction around this; k where keys
-- are given; u where a test takes the fence away.
-- plan: for each run of like commands [how many]code[number of arguments][:positions and such].
-- keys: for each command what it does to which of its keys, as in whole.go; they are looked at only where
-- the journal is past its first limit. With o they are those that a command may have written.
local call, pcall, match = redis.call, redis.pcall, string.find
local ours, theirs, flags = ARGV[2], ARGV[3], ARGV[5]
local only = match(flags, 'o', 2, true)
local names = 0 -- 1: past the first limit, 2: past the second
if not only then
  call('SELECT', ours)
  local f = call('GET', KEYS[1])
  if f ~= ARGV[1] then
    if f == ARGV[1] .. ' full' then
      return { err = 'JOURNALFULL the journal on local is full' }
    elseif f == ARGV[1] .. ' names' then
      names = 1
    elseif f == ARGV[1] .. ' names full' then
      names = 2
    elseif not match(flags, 'u', 2, true) then
      return { err = 'JOURNALFENCED ' .. (f or '') }
    end
    if names > 0 and not match(flags, 'k', 2, true) then return { err = 'JOURNALNAMES the keys are wanted' } end
  end
end
local three = match(flags, '3', 2, true)

local replies, seen, at = {}, 0, 8
local counts, args, commands, deadlines, id = {}, {}, 0, {}, ''

-- flush adds the entry. Few arguments stay well below what Lua can hand to a function.
local function flush()
  if commands == 0 then return end
  local header = string.sub(flags, 1, 1) .. '|' .. ARGV[4] .. '|' .. table.concat(counts, ',') .. '|' .. table.concat(deadlines, ',')
  if #args % 2 == 0 then args[#args + 1] = '' end
  call('SELECT', ours)
  id = call('XADD', KEYS[2], '*', header, unpack(args))
  call('SELECT', theirs)
  counts, args, commands, deadlines = {}, {}, 0, {}
end

-- deadline writes down when a key of the last command expires, its name being argument number place.
local function deadline(key, place)
  local t = call('PEXPIRETIME', key)
  if t >= 0 then deadlines[#deadlines + 1] = (commands - 1) .. '.' .. place .. '=' .. string.format('%.0f', t) end
  return t
end

-- write writes down a command other than the one that was given.
local function write(list)
  if #args + #list > 3500 then flush() end
  commands = commands + 1
  counts[commands] = #list
  for i = 1, #list do args[#args + 1] = list[i] end
end

-- ranked is the members of what a sorted set gave: flat, or in pairs with their scores.
local function ranked(v)
  local list = {}
  if type(v[1]) == 'table' then
    for i = 1, #v do list[i] = v[i][1] end
  else
    for i = 1, #v, 2 do list[#list + 1] = v[i] end
  end
  return list
end

-- remove writes that members left a set, a few thousand at a time.
local function remove(name, key, list)
  for i = 1, #list, 1000 do write({ name, key, unpack(list, i, math.min(i + 999, #list)) }) end
  deadline(key, 1)
end

-- milliseconds is local's clock.
local function milliseconds()
  local t = call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- gave reports whether a reply says that something was done: 0 always, 1 by what is not nil and not
-- empty, 2 by nil, 3 by a number above 0.
local function gave(when, r)
  if when == 0 then return true end
  if when == 3 then return type(r) == 'number' and r > 0 end
  local none = r == nil or r == false or (type(r) == 'table' and not r.ok and next(r) == nil)
  return none == (when == 2)
end

-- derive writes down what the command from ARGV[first] did, whose reply was r, where that is not the
-- command itself. p: key, last key, step, at, when, opts, option, timeout, as in
-- command.Note.
local function derive(code, first, last, p, r)
  local function arg(i) return ARGV[first + i] end
  local function has(bit) return math.floor(p[6] / bit) % 2 == 1 end
  if not gave(p[5], r) then return end
  local key, at = arg(p[1]), p[4]
  -- until_gone is for a key that may be gone at once, its deadline being in the past.
  local function until_gone()
    if deadline(key, 1) == -2 then deadlines[#deadlines + 1] = (commands - 1) .. '.1=0' end
  end
  if code == 'w' then
    local list = { unpack(ARGV, first, last) }
    -- COPY names the database that it stays in, which may have another number on the primary.
    if p[7] > 0 and arg(p[7]) == theirs and string.lower(arg(p[7] - 1)) == 'db' then
      table.remove(list, p[7])
      table.remove(list, p[7])
    end
    write(list)
    if p[3] > 0 then
      for i = p[1], p[2], p[3] do deadline(arg(i), i) end
    end
  elseif code == 's' then
    if has(32) then write({ 'SET', key, arg(at), 'KEEPTTL' }) else write({ 'SET', key, arg(at) }) end
    if has(16) or has(32) then until_gone() end
  elseif code == 'e' then
    if has(512) then
      write({ 'PERSIST', key })
    else
      write({ '!deadline', key })
      until_gone()
    end
  elseif code == 'm' then
    write({ 'MSET', unpack(ARGV, first + 1, last) })
  elseif code == 'h' then
    write({ 'HSET', unpack(ARGV, first + 1, last) })
    deadline(key, 1)
  elseif code == 'r' then
    write({ 'RENAME', arg(1), arg(2) })
    deadline(key, 2)
  elseif code == 'g' then
    write({ 'DEL', key })
  elseif code == 'p' then
    if type(r) ~= 'table' then r = { r } end
    remove('SREM', key, r)
  elseif code == 'l' then
    local list = r
    if has(4) then key, list = r[1], r[2] end
    if type(list) ~= 'table' then list = { list } end
    local side = '1'
    if has(1) then side = '-1' end
    for i = 1, #list do write({ 'LREM', key, side, list[i] }) end
    deadline(key, 1)
  elseif code == 'b' then
    local to, side, push = arg(p[2]), '1', 'LPUSH'
    if has(1) then side = '-1' end
    if has(2) then push = 'RPUSH' end
    write({ 'LREM', key, side, r })
    deadline(key, 1)
    write({ push, to, r })
    deadline(to, 1)
  elseif code == 'z' then
    local list = r
    if has(4) then
      key = r[1]
      if type(r[2]) == 'table' then list = r[2] else list = { r[2], r[3] } end
    end
    remove('ZREM', key, ranked(list))
  elseif code == 'a' then
    local list = { unpack(ARGV, first, last) }
    list[at + 1] = r
    write(list)
    deadline(key, p[1])
  elseif code == 'R' then
    write({ 'RESTORE', key, '0', arg(at), 'REPLACE' })
    until_gone()
  elseif code == 'f' then
    local list = { unpack(ARGV, first, last) }
    local ms = tonumber(arg(at)) or 0
    if has(4096) then ms = ms * 1000 end
    if has(8192) then ms = ms + milliseconds() end
    list[at + 1] = string.format('%.0f', ms)
    if p[7] > 0 then list[p[7] + 1] = 'PXAT' else list[1] = 'HPEXPIREAT' end
    write(list)
    deadline(key, p[1])
  elseif code == 'x' then
    local got, streams = {}, p[2] - p[1] + 1
    if r.map then
      got = r.map
    else
      for i = 1, #r do got[r[i][1]] = r[i][2] end
    end
    local now = string.format('%.0f', milliseconds())
    for i = p[1], p[2] do
      local list = got[arg(i)]
      if arg(i + streams) == '>' and list and #list > 0 then
        local newest = list[#list][1]
        if has(1024) then
          write({ 'XGROUP', 'CREATECONSUMER', arg(i), arg(at), arg(at + 1) })
          write({ 'XGROUP', 'SETID', arg(i), arg(at), newest })
        else
          for j = 1, #list do
            write({ 'XCLAIM', arg(i), arg(at), arg(at + 1), '0', list[j][1], 'TIME', now, 'RETRYCOUNT', '1', 'FORCE', 'JUSTID', 'LASTID', newest })
          end
        end
      end
    end
  elseif code == 'c' then
    local list = r
    if string.lower(arg(0)) == 'xautoclaim' then list = r[2] end
    local now = string.format('%.0f', milliseconds())
    for j = 1, #list do
      local id = list[j]
      if type(id) == 'table' then id = id[1] end
      local claim = { 'XCLAIM', key, arg(at), arg(at + 1), '0', id, 'TIME', now, 'FORCE' }
      if has(2048) then claim[#claim + 1] = 'JUSTID' end
      if p[7] > 0 then
        claim[#claim + 1] = 'LASTID'
        claim[#claim + 1] = arg(p[7])
      end
      if id then write(claim) end
    end
  elseif code == 'F' then
    write({ 'FLUSHALL' })
  end
end

-- empty is FLUSHALL that leaves our database alone.
local function empty()
  local n = 0
  while true do
    local ok = pcall('SELECT', n)
    if type(ok) == 'table' and ok.err then break end
    if tostring(n) ~= ours then call('FLUSHDB') end
    n = n + 1
    if n > 16384 then break end
  end
  call('SELECT', theirs)
  return { ok = 'OK' }
end

-- waiting runs what a script may not send, since it would wait: once, without waiting.
local function waiting(first, last, p)
  local name = string.lower(ARGV[first])
  if name == 'blmpop' then return pcall('LMPOP', unpack(ARGV, first + 2, last)) end
  if name == 'bzmpop' then return pcall('ZMPOP', unpack(ARGV, first + 2, last)) end
  if name == 'blmove' then return pcall('LMOVE', unpack(ARGV, first + 1, last - 1)) end
  if name == 'brpoplpush' then return pcall('RPOPLPUSH', ARGV[first + 1], ARGV[first + 2]) end
  local plain = ({ blpop = 'LPOP', brpop = 'RPOP', bzpopmin = 'ZPOPMIN', bzpopmax = 'ZPOPMAX' })[name]
  if not plain then -- XREADGROUP: without BLOCK
    local list = { unpack(ARGV, first, last) }
    table.remove(list, p[8])
    table.remove(list, p[8])
    return pcall(unpack(list))
  end
  for i = p[1], p[2] do
    local key = ARGV[first + i]
    local r = pcall(plain, key)
    if type(r) == 'table' and r.err then return r end
    if type(r) == 'table' and #r == 1 then r = r[1] end -- one pair
    if type(r) == 'table' and #r == 2 then return { key, r[1], r[2] } end
    if type(r) == 'string' then return { key, r } end
  end
  return false
end

-- What follows up to the loop is for a journal past its first limit. A key that local holds whole has its
-- name there in place of what is written to it, and its state is delivered. So nothing else that touches
-- the key may follow its name, or it would be done twice: a command on such keys alone adds nothing, one
-- on none of them is written down as ever, and one on both is refused before anything runs.
local plain = { v = true, d = true, i = true } -- codes whose reply does not matter
local classes, held, fresh, emptied, newest, all = {}, {}, {}, false, '0-0', false

local function later(a, b)
  local a1, a2 = string.match(a or '', '^(%d+)-(%d+)$')
  local b1, b2 = string.match(b or '', '^(%d+)-(%d+)$')
  a1, a2, b1, b2 = tonumber(a1 or 0), tonumber(a2 or 0), tonumber(b1 or 0), tonumber(b2 or 0)
  return a1 > b1 or a1 == b1 and a2 > b2
end

-- holds says whether local holds a key whole, whatever the primary had: 'stands' if its name stands for
-- what is written to it now as well, 'whole' if it needs another one, false if that is not known. It is
-- the one place that answers this.
local function holds(key)
  local h = held[key]
  if h == nil then
    h = 'whole'
    if not emptied then -- else it was absent in this call, and nothing more had to be asked
      local id = call('HGET', KEYS[3], theirs .. '|' .. key)
      if id then
        if later(id, newest) then h = 'stands' end
      elseif not all then
        h = false
      end
    end
    held[key] = h
  end
  return h
end

-- look reads what is known of the keys of all commands, and reports false if one of them cannot run.
local function look()
  local r = call('HMGET', KEYS[4], 'doubt', 'floor')
  local wiped = call('HMGET', KEYS[3], theirs, '*')
  for _, id in ipairs({ r[1] or '', r[2] or '', wiped[1] or '', wiped[2] or '' }) do
    if later(id, newest) then newest = id end
  end
  all = wiped[1] or wiped[2]
  for class, places in string.gmatch(ARGV[7], '(%u)([%d.]*)') do
    local list = {}
    for d in string.gmatch(places, '%d+') do list[#list + 1] = tonumber(d) end
    classes[#classes + 1] = { class, list }
  end
  -- known is what holds will say after the commands so far: true, false, or that it depends on a reply.
  local known, cleared, i, first = {}, false, 0, at
  local function is(key)
    if known[key] ~= nil then return known[key] end
    return cleared or holds(key) ~= false
  end
  local function one(code, p)
    local class, places = classes[i][1], classes[i][2]
    if class == 'R' then return true end
    if class == 'X' then return false end
    if class == 'F' then
      known, cleared = {}, true
      return names == 1
    end
    local yes, no, from = 0, 0, 1
    local always = plain[code] or p[5] == 0
    if class == 'D' then from = 2 end
    for j = 1, #places do
      local k = ARGV[first + places[j]]
      if names == 2 and holds(k) ~= 'stands' then return false end
      local v = is(k)
      if v == false then no = no + 1 elseif v == true and j >= from then yes = yes + 1 end
    end
    if class == 'M' or class == 'D' and yes == #places - 1 then
      local last = #places
      if class == 'D' then last = 1 end
      for j = 1, last do
        local k = ARGV[first + places[j]]
        if always or is(k) == true then known[k] = true else known[k] = 'maybe' end
      end
      return true
    end
    return #places > 0 and (yes == #places or no == #places or #places == 1)
  end
  for times, code, count, rest in string.gmatch(ARGV[6], '(%d*)(%a)(%d+)([^,]*)') do
    local p = {}
    for d in string.gmatch(rest, '%d+') do p[#p + 1] = tonumber(d) end
    for _ = 1, tonumber(times) or 1 do
      i = i + 1
      if not one(code, p) then return false end
      first = first + tonumber(count)
    end
  end
  return true
end

-- stands reports that the names of its keys stand for a command that has run, and that nothing else is
-- written down of it.
local function stands(i, first, r, when)
  local class, places = classes[i][1], classes[i][2]
  if class == 'F' then
    held, fresh, emptied = {}, {}, string.lower(ARGV[first]) == 'flushall' and '*' or theirs
    return false
  end
  if class ~= 'M' then
    for j = class == 'D' and 2 or 1, #places do
      if not holds(ARGV[first + places[j]]) then return false end
    end
  end
  if gave(when, r) then
    for j = 1, #places do
      local key = ARGV[first + places[j]]
      if holds(key) ~= 'stands' then
        held[key] = 'stands'
        fresh[#fresh + 1] = key
      end
    end
  end
  return true
end

-- finish writes the names down, behind everything else that the call has written.
local function finish()
  call('SELECT', ours)
  if emptied then call('HSET', KEYS[3], emptied, id) end
  for i = 1, #fresh, 1000 do
    local list, fields, ones = {}, {}, {}
    for j = i, math.min(i + 999, #fresh) do
      ones[#ones + 1] = '3'
      list[#list + 1] = '!name'
      list[#list + 1] = fresh[j]
      list[#list + 1] = theirs
    end
    if #list % 2 == 0 then list[#list + 1] = '' end
    local name = call('XADD', KEYS[2], '*', 'n|' .. ARGV[4] .. '|' .. table.concat(ones, ',') .. '|', unpack(list))
    for j = i, math.min(i + 999, #fresh) do
      fields[#fields + 1] = theirs .. '|' .. fresh[j]
      fields[#fields + 1] = name
    end
    call('HSET', KEYS[3], unpack(fields))
  end
end

-- Where local is kept warm, a key that was not there before and is not wholly made is noted: the primary may
-- have the rest of it. So is one that is made out of others, of which local may lack some, and all that
-- a script of the user's may have written. They go once the primary serves again.
local creates = { d = true, i = true, w = true, h = true, r = true, b = true, a = true, f = true, s = true }
local mixes = {}
for name in string.gmatch('sinterstore sunionstore sdiffstore zinterstore zunionstore zdiffstore zrangestore '
  .. 'geosearchstore georadius georadiusbymember sort bitop pfmerge copy rename renamenx', '%S+') do mixes[name] = true end
local partial = {}

-- absent returns those keys of a command that are to be noted if they are there after it.
local function absent(code, first, last, p)
  if not KEYS[5] or not creates[code] then return nil end
  if code == 's' and math.floor(p[6] / 32) % 2 == 0 then return nil end
  local name = string.lower(ARGV[first])
  local list, mixed = {}, mixes[name]
  if name == 'xadd' or name == 'xtrim' then
    -- How far it trims depends on how the stream lies in memory.
    for j = first + 2, math.min(first + 6, last) do mixed = mixed or ARGV[j] == '~' end
  end
  local function add(place)
    local key = ARGV[first + place]
    if mixed or call('EXISTS', key) == 0 then list[#list + 1] = key end
  end
  if code == 'd' or code == 'i' then
    for j = 1, #p do add(p[j]) end
  elseif p[1] > 0 then
    for j = p[1], p[2], math.max(p[3], 1) do add(j) end
  end
  return list
end

local function begun(list)
  for j = 1, #list do
    if call('EXISTS', list[j]) == 1 then partial[#partial + 1] = list[j] end
  end
end

-- note writes the partial keys down. A local that is complete knows what the primary does not have.
local function note()
  if #partial == 0 then return end
  call('SELECT', ours)
  local complete = not only and call('HGET', KEYS[6], 'complete') == '1'
  for j = 1, #partial do
    local name = ARGV[4] .. '|' .. partial[j]
    if not complete or call('SISMEMBER', KEYS[7], name) == 1 then call('SADD', KEYS[5], name) end
  end
  call('SELECT', theirs)
end

if only and KEYS[5] then
  local first = at
  local lengths = {}
  for times, _, count in string.gmatch(ARGV[6], '(%d*)(%a)(%d+)') do
    for _ = 1, tonumber(times) or 1 do lengths[#lengths + 1] = tonumber(count) end
  end
  local i = 0
  for places in string.gmatch(ARGV[7], '%u([%d.]*)') do
    i = i + 1
    for d in string.gmatch(places, '%d+') do partial[#partial + 1] = ARGV[first + tonumber(d)] end
    first = first + lengths[i]
  end
end

if names > 0 and not look() then return { err = 'JOURNALFULL the journal on local is full' } end
call('SELECT', theirs)
if three then redis.setresp(3) end

for times, code, count, rest in string.gmatch(ARGV[6], '(%d*)(%a)(%d+)([^,]*)') do
  local n, p = tonumber(count), {}
  if rest ~= '' then
    for d in string.gmatch(rest, '%d+') do p[#p + 1] = tonumber(d) end
  end
  for _ = 1, tonumber(times) or 1 do
    local first, last, r = at, at + n - 1, true
    at = last + 1
    local new = not only and absent(code, first, last, p)
    -- A map or a set would lose its order, and a list end at a nil.
    if three and (code == 'q' or code == 'f' or code == 'p') then redis.setresp(2) end
    if only then -- it has run
    elseif code == 'F' then r = empty()
    elseif p[8] and p[8] > 0 then r = waiting(first, last, p)
    else r = pcall(unpack(ARGV, first, last)) end
    if three and (code == 'q' or code == 'f' or code == 'p') then redis.setresp(3) end
    if type(r) == 'table' and r.err or code == 'n' or code == 'q' then
      -- nothing to write down
    elseif names > 0 and stands(seen + 1, first, r, plain[code] and 0 or p[5]) then
      -- its keys' names do
    elseif code == 'A' then
      -- Of an XADD that has run already: its entry is that many from the end of the stream.
      local e = pcall('XREVRANGE', ARGV[first + p[1]], '+', '-', 'COUNT', p[3])
      if not e.err and e[p[3]] then
        local list = { unpack(ARGV, first, last) }
        list[p[2] + 1] = e[p[3]][1]
        write(list)
        deadline(ARGV[first + p[1]], p[1])
      end
    elseif code == 'v' or code == 'd' or code == 'i' then
      if #args + n > 3500 then flush() end
      commands = commands + 1
      counts[commands] = n
      for i = first, last do args[#args + 1] = ARGV[i] end
      for i = 1, #p do deadline(ARGV[first + p[i]], p[i]) end
    else
      derive(code, first, last, p, r)
    end
    if new and not (type(r) == 'table' and r.err) then begun(new) end
    if code == 'i' and type(r) == 'number' and (r >= 9007199254740992 or r <= -9007199254740992) then
      -- Beyond 2^53 a number of Lua's is not exact.
      if n == 4 then r = call('HGET', ARGV[first + 1], ARGV[first + 2]) else r = call('GET', ARGV[first + 1]) end
    end
    if r == nil then r = false end -- a nil would end the list of replies
    seen = seen + 1
    replies[seen] = r
  end
end
flush()
note()
if names > 0 and (emptied or #fresh > 0) then finish() end
if three then redis.setresp(2) end -- so that false is nil, as the client knows it
if only then return id end
if match(flags, 'm', 2, true) then return replies end
return replies[1]
