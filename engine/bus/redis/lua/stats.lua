#!lua flags=no-writes,allow-oom
-- The numbers of a group on one stream.
-- KEYS: 1 stream, 2 due stream, 3 totals, 4 retry set, 5 dead set
-- ARGV: 1 group, 2 most entries to count one by one
-- Returns {unread, 1 when that is exact, pending, age of the oldest sign of life, retrying, overdue ms, due,
--          dead, oldest letter ('' for none), entries ever added, totals as a flat list}
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function flat(list)
  local map = {}
  for i = 1, #list, 2 do map[list[i]] = list[i + 1] end
  return map
end

local function groupOn(stream)
  if call('EXISTS', stream) == 0 then return nil end
  for _, list in ipairs(call('XINFO', 'GROUPS', stream)) do
    local group = flat(list)
    if group.name == ARGV[1] then return group end
  end
  return nil
end

-- Redis does not know the lag after deletions, and says a wrong one after some trims.
local function unread(stream, group)
  local info = flat(call('XINFO', 'STREAM', stream))
  if group['last-delivered-id'] == info['last-generated-id'] then return 0, 1 end
  if group.lag and group.lag <= info.length then return group.lag, 1 end
  local most = tonumber(ARGV[2])
  local rest = #call('XRANGE', stream, '(' .. group['last-delivered-id'], '+', 'COUNT', most)
  return rest, rest < most and 1 or 0
end

local function oldestIdle(stream, group)
  if group.pending == 0 then return 0 end
  local first = call('XPENDING', stream, ARGV[1], '-', '+', 1)[1]
  return first and first[3] or 0
end

local waiting, known, added = 0, 1, 0
local pending, idle, due = 0, 0, call('XLEN', KEYS[2])
if call('EXISTS', KEYS[1]) == 1 then added = flat(call('XINFO', 'STREAM', KEYS[1]))['entries-added'] end
local group = groupOn(KEYS[1])
if group then
  waiting, known = unread(KEYS[1], group)
  pending, idle = group.pending, oldestIdle(KEYS[1], group)
end
local dueGroup = groupOn(KEYS[2])
if dueGroup then
  pending = pending + dueGroup.pending
  due = due - dueGroup.pending
  idle = math.max(idle, oldestIdle(KEYS[2], dueGroup))
end

local first = call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
local overdue = first[2] and math.max(0, now - tonumber(first[2])) or 0
local oldest = call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
return {
  waiting, known, pending, idle, call('ZCARD', KEYS[4]), overdue, due,
  call('ZCARD', KEYS[5]), oldest[2] or '', added, call('HGETALL', KEYS[3]),
}
