#!lua flags=allow-oom
-- Compare and set of a breaker. A value is `version:state`.
-- KEYS: 1 breakers
-- ARGV: 1 breaker, 2 expected version, 3 new value ('': it is removed)
-- Returns {1 when it was set, what is stored now ('' for nothing)}
local stored = redis.call('HGET', KEYS[1], ARGV[1])
local version = stored and string.match(stored, '^%d+') or '0'
if version ~= ARGV[2] then return { 0, stored or '' } end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return { 1, ARGV[3] }
