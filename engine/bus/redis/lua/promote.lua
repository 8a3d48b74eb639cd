#!lua flags=allow-oom
-- Moves retries that are due, by the server's clock, from the retry set to the due stream.
-- KEYS: 1 due stream, 2 retry set, 3 retry bodies, 4 totals
-- ARGV: 1 most to move
-- Returns the number of members that were due
local call = redis.call
local time = call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local due = call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[1])
if #due == 0 then return 0 end
local records, postponed = call('HMGET', KEYS[3], unpack(due)), 0
for i = 1, #due do
  local record = records[i]
  if record then
    local line = string.find(record, '\n', 1, true)
    local head = string.byte(record) == 126 and 2 or 1
    postponed = postponed + head - 1
    call('XADD', KEYS[1], '*', 'd', string.sub(record, line + 1), 's', string.sub(record, head, line - 1))
  end
end
call('HDEL', KEYS[3], unpack(due))
call('ZREM', KEYS[2], unpack(due))
if postponed > 0 then call('HINCRBY', KEYS[4], 'postponed', -postponed) end
return #due
