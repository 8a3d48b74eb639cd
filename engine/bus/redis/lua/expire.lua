#!lua flags=allow-oom
-- Drops dead letters that are past their retention.
-- KEYS: 1 dead set, 2 dead bodies, 3 totals
-- ARGV: 1 retention in ms, 2 most in one call
-- Returns the number dropped
local call = redis.call
local time = call('TIME')
local oldest = string.format('(%.0f', time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1]))
local letters = call('ZRANGEBYSCORE', KEYS[1], '-inf', oldest, 'LIMIT', 0, ARGV[2])
if #letters == 0 then return 0 end
call('HDEL', KEYS[2], unpack(letters))
call('ZREM', KEYS[1], unpack(letters))
call('HINCRBY', KEYS[3], 'dropped', #letters)
return #letters
