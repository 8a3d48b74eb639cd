#!lua flags=allow-oom
-- Hands entries back: to nobody's consumer, idle for so long that any reclaim takes them, without counting the start.
-- KEYS: 1 stream
-- ARGV: 1 group, 2 consumer, 3 consumer of what nobody holds, 4 idle in ms, 5.. id, starts to take back
-- Returns the number handed back
local call, released = redis.call, 0
for i = 5, #ARGV, 2 do
  local id = ARGV[i]
  local held = call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2])
  if #held == 1 then
    local starts = math.max(0, held[1][4] - tonumber(ARGV[i + 1]))
    call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, id, 'IDLE', ARGV[4], 'RETRYCOUNT', starts, 'JUSTID')
    released = released + 1
  end
end
return released
