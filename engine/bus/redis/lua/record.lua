#!lua flags=allow-oom
-- Compare and set of what is known of a group.
-- KEYS: 1 groups
-- ARGV: 1 group, 2 what is expected to be stored ('' for nothing), 3 what is to be stored ('' to remove it)
-- Returns 1 when it was set, 0 when something else is stored
local stored = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if stored ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1])
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return 1
