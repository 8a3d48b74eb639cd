#!lua flags=allow-oom
-- Makes a start count of an entry that is ours. Told again, because its answer was lost, it changes nothing.
-- KEYS: 1 stream
-- ARGV: 1 group, 2 consumer, 3 id, 4 number of the start
-- Returns the number of starts; 0 when the entry is not ours any more
local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
if #held == 0 then return 0 end
local starts = math.max(held[1][4], tonumber(ARGV[4]))
local claimed =
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'RETRYCOUNT', starts, 'JUSTID')
if #claimed == 0 then return 0 end
return starts
