#!lua flags=allow-oom
-- Makes a group on a stream and on its due stream. A group that was lost is made again where it was first activated.
-- KEYS: 1 stream, 2 due stream, 3 totals, 4 retry set
-- ARGV: 1 group, 2 'new' | 'beginning': where it starts when it was never activated
-- Returns: 1 when the group was made on the stream, 2 when only on the due stream, 0 when it was there
local call = redis.call

local function described(stream)
  if call('EXISTS', stream) == 0 then return { added = 0, length = 0, last = '0-0' } end
  local flat, info = call('XINFO', 'STREAM', stream), {}
  for i = 1, #flat, 2 do info[flat[i]] = flat[i + 1] end
  return { added = info['entries-added'], length = info['length'], last = info['last-generated-id'] }
end

local function hasGroup(stream)
  if call('EXISTS', stream) == 0 then return false end
  for _, group in ipairs(call('XINFO', 'GROUPS', stream)) do
    for i = 1, #group, 2 do
      if group[i] == 'name' and group[i + 1] == ARGV[1] then return true end
    end
  end
  return false
end

local function entriesAfter(start, length)
  if start == '0-0' then return length end
  local from, count = '(' .. start, 0
  while true do
    local page = call('XRANGE', KEYS[1], from, '+', 'COUNT', 1000)
    count = count + #page
    if #page < 1000 then return count end
    from = '(' .. page[#page][1]
  end
end

local function total(field) return tonumber(call('HGET', KEYS[3], field) or '0') end

local again = 0
if not hasGroup(KEYS[2]) then
  call('XGROUP', 'CREATE', KEYS[2], ARGV[1], '0-0', 'MKSTREAM')
  again = 2
end
if hasGroup(KEYS[1]) then return again end

local stream = described(KEYS[1])
local start = call('HGET', KEYS[3], 'start')
local read, base
if start then
  -- Everything since the activation is handed out again: count it as reaching the group again.
  local rest = entriesAfter(start, stream.length)
  local settled = total('delivered') + total('skipped') + total('unmatched') + total('dead') - total('redriven')
  read = stream.added - rest
  base = read - settled - call('ZCARD', KEYS[4]) - call('XLEN', KEYS[2])
elseif ARGV[2] == 'new' then
  start, read, base = stream.last, stream.added, stream.added
else
  start, read, base = '0-0', stream.added - stream.length, stream.added - stream.length
end
call('HSET', KEYS[3], 'start', start, 'base', base)
call('XGROUP', 'CREATE', KEYS[1], ARGV[1], start, 'MKSTREAM', 'ENTRIESREAD', read)
return 1
