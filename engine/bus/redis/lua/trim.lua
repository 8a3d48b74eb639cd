#!lua flags=allow-oom
-- Removes what every group has settled; from a stream without groups, what is older than the retention.
-- KEYS: 1 stream
-- ARGV: 1 retention in ms, 2 most entries in one call (about), 3.. groups that are known to read this stream
-- Returns the number removed. Nothing is removed while a known group is missing: it will be made again and wants them.
local call = redis.call
if call('EXISTS', KEYS[1]) == 0 then return 0 end

local function parts(id) return string.match(id, '^(%d+)%-(%d+)$') end

local function less(a, b)
  local am, as = parts(a)
  local bm, bs = parts(b)
  if #am ~= #bm then return #am < #bm end
  if am ~= bm then return am < bm end
  if #as ~= #bs then return #as < #bs end
  return as < bs
end

local function after(id)
  local ms, seq = parts(id)
  if #seq > 15 then return id end
  return ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
end

local found, keep = {}, nil
for _, list in ipairs(call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for i = 1, #list, 2 do group[list[i]] = list[i + 1] end
  found[group.name] = true
  local needs = after(group['last-delivered-id'])
  if group.pending > 0 then needs = call('XPENDING', KEYS[1], group.name)[2] end
  if not keep or less(needs, keep) then keep = needs end
end
for i = 3, #ARGV do
  if not found[ARGV[i]] then return 0 end
end
if not keep then
  local time = call('TIME')
  local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
  if oldest <= 0 then return 0 end
  keep = string.format('%.0f-0', oldest)
end

local removed = call('XTRIM', KEYS[1], 'MINID', '~', keep, 'LIMIT', ARGV[2])
if removed < tonumber(ARGV[2]) then removed = removed + call('XTRIM', KEYS[1], 'MINID', '=', keep) end
return removed
