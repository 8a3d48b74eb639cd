#!lua flags=allow-oom
-- Moves postponed deliveries from the retry set to the due stream, in the order given, before their time.
-- KEYS: 1 due stream, 2 retry set, 3 retry bodies, 4 totals
-- ARGV: origins
-- Returns the number moved
local call, moved = redis.call, {}
local records = call('HMGET', KEYS[3], unpack(ARGV))
for i = 1, #ARGV do
  local record = records[i]
  -- '~' at its head: postponed.
  if record and string.byte(record) == 126 then
    local line = string.find(record, '\n', 1, true)
    call('XADD', KEYS[1], '*', 'd', string.sub(record, line + 1), 's', string.sub(record, 2, line - 1))
    moved[#moved + 1] = ARGV[i]
  end
end
if #moved == 0 then return 0 end
call('HDEL', KEYS[3], unpack(moved))
call('ZREM', KEYS[2], unpack(moved))
call('HINCRBY', KEYS[4], 'postponed', -#moved)
return #moved
