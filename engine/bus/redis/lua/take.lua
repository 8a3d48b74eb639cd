#!lua flags=allow-oom
-- Hands out entries that a sweep has just claimed for us. A start counts here, but not for suspects: those that have
-- been handed out `limit` times are only shown.
-- KEYS: 1 stream
-- ARGV: 1 group, 2 consumer, 3 limit, 4.. ids, in order
-- Returns {entries, lost ids}; an entry is {id, starts, 1 when this start was counted, fields}
local call = redis.call
local key, group, me = KEYS[1], ARGV[1], ARGV[2]
local limit, n = tonumber(ARGV[3]), #ARGV - 3

local starts = {}
for _, held in ipairs(call('XPENDING', key, group, ARGV[4], ARGV[#ARGV], 2 * n, me)) do starts[held[1]] = held[4] end

local taken, lost, claim = {}, {}, { 'XCLAIM', key, group, me, 0 }
for i = 4, #ARGV do
  local id = ARGV[i]
  if not starts[id] then
    local held = call('XPENDING', key, group, id, id, 1, me)
    if #held == 1 then starts[id] = held[1][4] end
  end
  if not starts[id] then
    -- Somebody else has it by now.
  elseif starts[id] >= limit then
    local entry = call('XRANGE', key, id, id)[1]
    if entry then
      taken[#taken + 1] = { id, starts[id], 0, entry[2] }
    else
      call('XACK', key, group, id)
      lost[#lost + 1] = id
    end
  else
    claim[#claim + 1] = id
  end
end

if #claim > 5 then
  local found = {}
  for _, entry in ipairs(call(unpack(claim))) do
    found[entry[1]] = true
    taken[#taken + 1] = { entry[1], starts[entry[1]] + 1, 1, entry[2] }
  end
  for i = 6, #claim do
    if not found[claim[i]] then lost[#lost + 1] = claim[i] end
  end
end
return { taken, lost }
