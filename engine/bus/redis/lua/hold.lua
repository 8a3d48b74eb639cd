#!lua flags=allow-oom
-- Takes or renews the turn of a route with ordering. It is never deleted, so that its term goes on growing.
-- KEYS: 1 turn
-- ARGV: 1 consumer, 2 how long in ms
-- Returns {1 | 0 somebody else has it, term}
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local turn = call('HMGET', KEYS[1], 'holder', 'until', 'term')
local term = tonumber(turn[3] or 0)
if turn[1] ~= ARGV[1] then
  if turn[1] and tonumber(turn[2]) > now then return { 0, term } end
  -- Of the time, so that it also grows when the store has lost what it knew.
  term = math.max(term + 1, now)
end
local ends, number = string.format('%.0f', now + tonumber(ARGV[2])), string.format('%.0f', term)
call('HSET', KEYS[1], 'holder', ARGV[1], 'until', ends, 'term', number)
return { 1, term }
