#!lua flags=allow-oom
-- Removes a group from a stream, with its retries, its due stream, its dead letters and its counters.
-- KEYS: 1 stream, 2 … everything that is the group's alone
-- ARGV: 1 group
-- Returns 1 when the group was on the stream, 0 when it was not
local call, was = redis.call, 0
if call('EXISTS', KEYS[1]) == 1 then was = call('XGROUP', 'DESTROY', KEYS[1], ARGV[1]) end
for i = 2, #KEYS do call('UNLINK', KEYS[i]) end
return was
