#!lua flags=allow-oom
-- Sends dead letters back to the route's due stream.
-- KEYS: 1 due stream, 2 dead set, 3 dead bodies, 4 totals
-- ARGV: letter, state of the new delivery, and so on in pairs
-- Returns 1 | 0 (not there any more) per letter
local call, out, moved = redis.call, {}, 0
for i = 1, #ARGV, 2 do
  local record = call('HGET', KEYS[3], ARGV[i])
  if record then
    local line = string.find(record, '\n', 1, true)
    call('XADD', KEYS[1], '*', 'd', string.sub(record, line + 1), 's', ARGV[i + 1])
    call('HDEL', KEYS[3], ARGV[i])
    call('ZREM', KEYS[2], ARGV[i])
    moved = moved + 1
  end
  out[#out + 1] = record and 1 or 0
end
if moved > 0 then call('HINCRBY', KEYS[4], 'redriven', moved) end
return out
