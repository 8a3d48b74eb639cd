#!lua flags=allow-oom
-- Counts a start of an entry that is ours.
-- KEYS: 1 stream
-- ARGV: 1 group, 2 consumer, 3 id
-- Returns the number of starts, this one included; 0 when the entry is not ours any more
local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
if #held == 0 then return 0 end
local starts = held[1][4] + 1
local claimed =
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'RETRYCOUNT', starts, 'JUSTID')
if #claimed == 0 then return 0 end
return starts
