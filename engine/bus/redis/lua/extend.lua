#!lua flags=allow-oom
-- Renews the lease of the entries that are still ours.
-- KEYS: 1 stream
-- ARGV: 1 group, 2 consumer, 3.. ids
-- Returns the ids that are not ours any more
local mine, lost = {}, {}
for i = 3, #ARGV do
  local id = ARGV[i]
  if #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2]) == 1 then
    mine[#mine + 1] = id
  else
    lost[#lost + 1] = id
  end
end
if #mine > 0 then
  local args = { 'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0 }
  for _, id in ipairs(mine) do args[#args + 1] = id end
  args[#args + 1] = 'JUSTID'
  -- An entry that no longer exists is not claimed: it is lost as well.
  local claimed = {}
  for _, id in ipairs(redis.call(unpack(args))) do claimed[id] = true end
  for _, id in ipairs(mine) do
    if not claimed[id] then lost[#lost + 1] = id end
  end
end
return lost
