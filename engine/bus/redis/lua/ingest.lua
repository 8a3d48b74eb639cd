#!lua
-- Appends events to a stream, each once within the dedupe window. Refused as a whole when Redis is out of memory.
--
-- What was published is remembered in two hashes, one per window of time, the present one and the one before: three
-- calls for a whole batch instead of two for each event, and no expiry to keep for each key. The time in an entry's
-- id says whether it is still within the window. An argument costs more than anything that is done with it, so there
-- is one for each body, and one for everything else.
-- KEYS: 1 stream; 2, 3 the two hashes, in turn: dedupe key → entry id, line end, fingerprint, line end, event id;
--       and '' → number of the window
-- ARGV: 1 window in ms; 2 number of events n; 3 heads: for each event twice a length in bytes (3 digits, base 64 from
--       ' ' on) and so much text: its dedupe key, no two alike; its fingerprint, line end, event id;
--       then n bodies; then nothing, or n metas ('' for none)
-- Returns for each event: entry id | {entry id, first event id} for a duplicate | {first event id} for a conflict
local call, sub, stream = redis.call, string.sub, KEYS[1]
local window, n, heads = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local period = math.floor(now / window)
local present, past = KEYS[2 + period % 2], KEYS[3 - period % 2]

local function length(at)
  local a, b, c = string.byte(heads, at, at + 2)
  return a * 4096 + b * 64 + c - 133152 -- 32 × (4096 + 64 + 1)
end

local keys, records, from = {}, {}, 1
for i = 1, n do
  local to = from + 2 + length(from)
  keys[i] = sub(heads, from + 3, to)
  from = to + 4 + length(to + 1)
  records[i] = sub(heads, to + 4, from - 1)
end

local new, old = {}, {}
local began = call('HGET', present, '')
if began == tostring(period) then
  new = call('HMGET', present, unpack(keys))
else
  if began then call('UNLINK', present) end
  call('HSET', present, '', period)
  call('PEXPIRE', present, 3 * window)
end
if call('HGET', past, '') == tostring(period - 1) then old = call('HMGET', past, unpack(keys)) end

local function valid(record)
  if record and tonumber(string.match(record, '^%d+')) > now - window then return record end
end

local remember, out, r = {}, {}, 0
for i = 1, n do
  local key, record = keys[i], records[i]
  local known = valid(new[i]) or valid(old[i])
  if known then
    local entry, fingerprint, event = string.match(known, '^([^\n]*)\n([^\n]*)\n(.*)$')
    if fingerprint .. '\n' == sub(record, 1, #fingerprint + 1) then
      out[i] = { entry, event }
    else
      out[i] = { event }
    end
  else
    local meta, id = ARGV[3 + n + i], nil
    if meta and meta ~= '' then
      id = call('XADD', stream, '*', 'd', ARGV[3 + i], 'm', meta)
    else
      id = call('XADD', stream, '*', 'd', ARGV[3 + i])
    end
    remember[r + 1] = key
    remember[r + 2] = id .. '\n' .. record
    r = r + 2
    out[i] = id
  end
end
-- When all of it was known something is written all the same: WAIT is only sure of what its own connection wrote.
if r == 0 then remember = { '', period } end
call('HSET', present, unpack(remember))
return out
