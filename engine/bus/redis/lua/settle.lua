#!lua flags=allow-oom
-- Settles what one read returned from one stream. Writes the new place first and acks last.
-- KEYS: 1 stream, 2 due stream, 3 totals, 4 journal, 5 retry set, 6 retry bodies, 7 dead set, 8 dead bodies,
--       9 index of tallies, 10.. hashes of tallies
-- ARGV: 1 group, 2 consumer, 3 journal line ('' for none), 4 most entries in the journal,
--       5 most letters, 6 letters in the group's other streams, 7 'pause' | 'dropOldest',
--       then four sections, each headed by the number of its parts; `source` is 1 (stream) or 2 (due stream):
--       acks     source, status, 'all' | 'each', ids with a blank between (one argument costs more than splitting it)
--       counted  source, status, id, n, n × (index into KEYS, index member, bucket, field, by)
--       retries  source, id, origin, delay in ms, record ('~' at its head: postponed)
--       deads    source, id, origin, record
-- Returns a flat list: per ack part the number acked ('all') or 1 | 0 per id ('each'); per counted, retry: 1 | 0;
--       per dead: 1 | 0 | 2 (full). 0 means that the entry is not ours any more, or settled before.
--       Then letter and record of each letter that was dropped to make room.
local call = redis.call
local group, me = ARGV[1], ARGV[2]
local at, out = 8, {}
local totals = {}

local function count(field, by)
  if by ~= 0 then totals[field] = (totals[field] or 0) + by end
end

local function owned(key, id) return #call('XPENDING', key, group, id, id, 1, me) == 1 end

-- Entries of a due stream are nobody else's: they go with their ack.
local function leave(source, id)
  local acked = call('XACK', KEYS[source], group, id)
  if source == 2 then call('XDEL', KEYS[2], id) end
  return acked
end

local parts = tonumber(ARGV[at]); at = at + 1
for _ = 1, parts do
  local source, status = tonumber(ARGV[at]), ARGV[at + 1]
  local ids, n = {}, 0
  for id in string.gmatch(ARGV[at + 3], '%S+') do
    n = n + 1
    ids[n] = id
  end
  if ARGV[at + 2] == 'all' then
    local acked = call('XACK', KEYS[source], group, unpack(ids))
    if source == 2 then call('XDEL', KEYS[2], unpack(ids)) end
    count(status, acked)
    out[#out + 1] = acked
  else
    for i = 1, n do
      local acked = leave(source, ids[i])
      count(status, acked)
      out[#out + 1] = acked
    end
  end
  at = at + 4
end

parts = tonumber(ARGV[at]); at = at + 1
for _ = 1, parts do
  local source, status, n = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 3])
  local acked = leave(source, ARGV[at + 2])
  count(status, acked)
  out[#out + 1] = acked
  at = at + 4
  for _ = 1, n do
    if acked == 1 then
      call('ZADD', KEYS[9], ARGV[at + 2], ARGV[at + 1])
      call('HINCRBYFLOAT', KEYS[tonumber(ARGV[at])], ARGV[at + 3], ARGV[at + 4])
    end
    at = at + 5
  end
end

local retries = tonumber(ARGV[at]); at = at + 1
local now
local function clock()
  if not now then
    local time = call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return now
end

for _ = 1, retries do
  local source, id, origin = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  if owned(KEYS[source], id) then
    call('HSET', KEYS[6], origin, ARGV[at + 4])
    call('ZADD', KEYS[5], string.format('%.0f', clock() + tonumber(ARGV[at + 3])), origin)
    leave(source, id)
    count(string.byte(ARGV[at + 4]) == 126 and 'postponed' or 'retries', 1)
    out[#out + 1] = 1
  else
    out[#out + 1] = 0
  end
  at = at + 5
end

local dropped = {}
local function makeRoom()
  local most, others = tonumber(ARGV[5]), tonumber(ARGV[6])
  local excess = call('ZCARD', KEYS[7]) + others + 1 - most
  if excess <= 0 then return true end
  if ARGV[7] == 'pause' then return false end
  local oldest = call('ZPOPMIN', KEYS[7], excess)
  for i = 1, #oldest, 2 do
    dropped[#dropped + 1] = oldest[i]
    dropped[#dropped + 1] = call('HGET', KEYS[8], oldest[i]) or ''
    call('HDEL', KEYS[8], oldest[i])
  end
  count('dropped', #oldest / 2)
  return true
end

local deads = tonumber(ARGV[at]); at = at + 1
for _ = 1, deads do
  local source, id = tonumber(ARGV[at]), ARGV[at + 1]
  if not owned(KEYS[source], id) then
    out[#out + 1] = 0
  elseif not makeRoom() then
    out[#out + 1] = 2
  else
    local letter = ARGV[at + 2] .. '~' .. string.format('%.0f', clock())
    call('HSET', KEYS[8], letter, ARGV[at + 3])
    call('ZADD', KEYS[7], string.format('%.0f', clock()), letter)
    leave(source, id)
    count('dead', 1)
    out[#out + 1] = 1
  end
  at = at + 4
end

for i = 1, #dropped do out[#out + 1] = dropped[i] end
for field, by in pairs(totals) do call('HINCRBY', KEYS[3], field, by) end
if ARGV[3] ~= '' then call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[4], '*', 'g', group, 'l', ARGV[3]) end
return out
