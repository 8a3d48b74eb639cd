#!lua flags=allow-oom
-- Prepares entries that a sweep has just claimed for us to be handed out. A start counts here, but not that of a
-- suspect, which is counted when it runs. Bodies do not pass through here.
-- KEYS: 1 stream
-- ARGV: 1 group, 2 consumer, 3 first start of a suspect, 4 ids in order, with a blank between
-- Returns for each id: the number of this start | 0 somebody else has it | '' it no longer exists
local call = redis.call
local key, group, me, suspect = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local ids, n = {}, 0
for id in string.gmatch(ARGV[4], '%S+') do
  n = n + 1
  ids[n] = id
end

local starts = {}
for _, held in ipairs(call('XPENDING', key, group, ids[1], ids[n], 2 * n, me)) do starts[held[1]] = held[4] end

-- One claim for all with the same number of starts.
local claims = {}
for i = 1, n do
  local id = ids[i]
  if not starts[id] then
    local held = call('XPENDING', key, group, id, id, 1, me)
    if #held == 1 then starts[id] = held[1][4] end
  end
  local count = starts[id]
  if count then
    if not claims[count] then claims[count] = { 'XCLAIM', key, group, me, 0 } end
    table.insert(claims[count], id)
  end
end

local there = {}
for count, claim in pairs(claims) do
  claim[#claim + 1] = 'JUSTID'
  if count + 1 < suspect then
    claim[#claim + 1] = 'RETRYCOUNT'
    claim[#claim + 1] = count + 1
  end
  for _, id in ipairs(call(unpack(claim))) do there[id] = count + 1 end
end

local out = {}
for i = 1, n do out[i] = there[ids[i]] or (starts[ids[i]] and '' or 0) end
return out
