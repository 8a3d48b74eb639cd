#!lua flags=allow-oom
-- Gives back the turn of a route with ordering: the next one who asks has it, with a new term.
-- KEYS: 1 turn
-- ARGV: 1 consumer
-- Returns 1 | 0 it was not ours
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'holder', '', 'until', '0')
return 1
