#!lua flags=allow-oom
-- Ends a consumer: hands back what it still holds, then deletes it, which is safe only because it holds nothing then.
-- KEYS: 1 stream
-- ARGV: 1 group, 2 consumer, 3 consumer of what nobody holds, 4 idle in ms, 5 most entries in this call
-- Returns the number handed back; fewer than ARGV[5]: the consumer is gone
local call = redis.call
if call('EXISTS', KEYS[1]) == 0 then return 0 end
local held = call('XPENDING', KEYS[1], ARGV[1], '-', '+', ARGV[5], ARGV[2])
for _, entry in ipairs(held) do
  local starts = math.max(0, entry[4] - 1)
  call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, entry[1], 'IDLE', ARGV[4], 'RETRYCOUNT', starts, 'JUSTID')
end
if #held < tonumber(ARGV[5]) and #call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) == 0 then
  call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
end
return #held
