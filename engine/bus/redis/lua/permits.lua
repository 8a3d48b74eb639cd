#!lua flags=allow-oom
-- Permits of one rate limit, by the server's clock: `take` of core/rate-limit.ts, where the why stands.
-- KEYS: 1 permits
-- ARGV: 1 limit, 2 per, 3 wanted, 4 of them returning, 5 '1': those without stand in line, 6 lead in ms
-- The field 's' is: limit per line soon, then until and count of each slot that counts, with blanks between.
-- Returns {granted, ms until the next, ms until each that got none is to come back …}
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, per, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local returning, lead = tonumber(ARGV[4]), tonumber(ARGV[6])
local slot = math.max(1, math.ceil(per / 64))

local stored = {}
for word in string.gmatch(call('HGET', KEYS[1], 's') or '', '%S+') do stored[#stored + 1] = tonumber(word) end
local line, soon = 0, 0
if stored[1] == limit and stored[2] == per then line, soon = stored[3], stored[4] end

local untils, counts, held = {}, {}, 0
for i = 5, #stored, 2 do
  if stored[i] > now then
    untils[#untils + 1] = stored[i]
    counts[#counts + 1] = stored[i + 1]
    held = held + stored[i + 1]
  end
end

local granted = math.min(math.max(0, limit - held), line > now and math.min(returning, wanted) or wanted)
if granted > 0 then
  local last = #untils
  local ends = math.max(untils[last] or 0, math.ceil((now + lead + per) / slot) * slot)
  if ends == untils[last] then
    counts[last] = counts[last] + granted
  else
    untils[last + 1] = ends
    counts[last + 1] = granted
  end
  held = held + granted
end

local nextAt, counted = now, held
for i = 1, #untils do
  if counted < limit then break end
  counted = counted - counts[i]
  nextAt = untils[i]
end

local out = { granted, nextAt - now }
if ARGV[5] == '1' then
  local step = (per + lead + slot) / limit
  for at = granted, wanted - 1 do
    local early = math.max(soon, nextAt)
    if at < returning and early <= now + 2 * per then
      out[#out + 1] = math.ceil(early - now)
      soon = early + step
    else
      local place = math.max(line, soon, nextAt)
      out[#out + 1] = math.ceil(place - now)
      line = place + step
    end
  end
end

local words = { ARGV[1], ARGV[2], string.format('%.3f', line), string.format('%.3f', soon) }
for i = 1, #untils do words[#words + 1] = string.format('%.0f %.0f', untils[i], counts[i]) end
call('HSET', KEYS[1], 's', table.concat(words, ' '))
local over = math.max(line, soon, untils[#untils] or 0) - now
call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(1, math.ceil(over))))
return out
