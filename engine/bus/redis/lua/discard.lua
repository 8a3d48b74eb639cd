#!lua flags=allow-oom
-- Removes dead letters for good.
-- KEYS: 1 dead set, 2 dead bodies, 3 totals
-- ARGV: letters
-- Returns 1 | 0 (not there any more) per letter
local call, out, removed = redis.call, {}, 0
for i = 1, #ARGV do
  out[i] = call('HDEL', KEYS[2], ARGV[i])
  call('ZREM', KEYS[1], ARGV[i])
  removed = removed + out[i]
end
if removed > 0 then call('HINCRBY', KEYS[3], 'discarded', removed) end
return out
