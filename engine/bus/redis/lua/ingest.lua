#!lua
-- Appends events to a stream, each once within the dedupe window. Refused as a whole when Redis is out of memory.
-- KEYS: 1 stream; 2.. dedupe key of each event
-- ARGV: 1 window in ms; then for each event: fingerprint, event id, meta ('' for none), body
-- Returns for each event: entry id | {entry id, first event id} for a duplicate | {first event id} for a conflict
local stream, window = KEYS[1], ARGV[1]
local call = redis.call
local known = call('MGET', unpack(KEYS, 2))
local fresh, out = {}, {}
for i = 1, #known do
  local key, at = KEYS[i + 1], 4 * i - 2
  local old = known[i] or fresh[key]
  if old then
    local entry, fingerprint, event = string.match(old, '^([^\n]*)\n([^\n]*)\n(.*)$')
    if fingerprint == ARGV[at] then out[i] = { entry, event } else out[i] = { event } end
  else
    local meta, id = ARGV[at + 2], nil
    if meta == '' then
      id = call('XADD', stream, '*', 'd', ARGV[at + 3])
    else
      id = call('XADD', stream, '*', 'd', ARGV[at + 3], 'm', meta)
    end
    local record = id .. '\n' .. ARGV[at] .. '\n' .. ARGV[at + 1]
    call('SET', key, record, 'PX', window)
    fresh[key] = record
    out[i] = id
  end
end
return out
