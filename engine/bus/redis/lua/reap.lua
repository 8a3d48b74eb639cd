#!lua flags=allow-oom
-- Deletes consumers that have been silent for long and hold nothing.
-- KEYS: 1 stream
-- ARGV: 1 group, 2 silent for at least, ms
-- Returns the number deleted
local call, reaped = redis.call, 0
if call('EXISTS', KEYS[1]) == 0 then return 0 end
for _, flat in ipairs(call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
  local silent = consumer.idle >= tonumber(ARGV[2]) and consumer.pending == 0
  if silent and #call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, consumer.name) == 0 then
    call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    reaped = reaped + 1
  end
end
return reaped
