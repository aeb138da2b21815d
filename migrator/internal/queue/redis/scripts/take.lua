-- Hands out items: first, if asked to, those of processes that gave no sign of life; then new ones.
-- KEYS: meta. ARGV: base, group, schema, folders or files, consumer, most items, limit of files, most items of dead processes
-- (0 not to look), lease in milliseconds, folder streams.
-- Returns a word, 'gone' where an item was deleted, with 'end' whether files have come to theirs, too, and with 'ok' the items: of a file that nobody had yet id
-- and payload, of others a list of stream, id, deliveries, again, payload, state.
local meta, base, group, me = KEYS[1], ARGV[1], ARGV[2], ARGV[5]
local open = redis.call('HMGET', meta, 'schema', 'open_folders', 'open_files')
if not open[1] then return {'none'} end
if open[1] ~= ARGV[3] then return {'schema'} end
local folders = ARGV[4] == 'folders'
if tonumber(open[2]) <= 0 and (folders or tonumber(open[3]) <= 0) then return {'end', tonumber(open[3]) <= 0 and 1 or 0} end

local streams, most = {}, tonumber(ARGV[6])
local files = redis.call('XLEN', base .. ':files')
if folders then
  if files >= tonumber(ARGV[7]) then return {'full'} end
  -- The deepest first: so the folders queued are bounded by the depth of the tree and not by its width.
  for level = tonumber(ARGV[10]) - 1, 0, -1 do streams[#streams + 1] = 'folders:' .. level end
else
  streams[1] = 'files'
  -- A share of what waits, so that the last ones go to whoever is free: guided self-scheduling (Polychronopoulos and Kuck,
  -- 1987).
  local waits = files - redis.call('XPENDING', base .. ':files', group)[1]
  local processes = math.max(1, redis.call('ZCARD', base .. ':workers'))
  most = math.max(1, math.min(most, math.floor(waits / (2 * processes))))
end

local out, n = {'ok'}, 0
local states = base .. ':states'
local saved = redis.call('EXISTS', states) == 1
local function add(stream, entry, deliveries, again)
  n = n + 1
  local id, f = entry[1], entry[2]
  if #f > 2 then again = '1' end -- marked with a field of its own
  local state = saved and redis.call('HGET', states, stream .. ' ' .. id) or ''
  if stream == 'files' and again == '0' and state == '' then
    out[#out + 1] = id
    out[#out + 1] = f[2]
  else
    out[#out + 1] = {stream, id, deliveries, again, f[2], state}
  end
end

local claims = tonumber(ARGV[8])
if claims > 0 then
  for _, s in ipairs(streams) do
    if redis.call('EXISTS', base .. ':' .. s) == 1 then
      local cursor = '0-0'
      repeat
        local r = redis.call('XAUTOCLAIM', base .. ':' .. s, group, me, ARGV[9], cursor, 'COUNT', claims - n)
        cursor = r[1]
        for _, e in ipairs(r[2]) do
          if not e then return {'gone'} end -- Redis 6.2: what a dead process had was deleted
          local p = redis.call('XPENDING', base .. ':' .. s, group, e[1], e[1], 1)
          add(s, e, p[1][4], '1')
        end
      until cursor == '0-0' or n >= claims
      if n >= claims then return out end
    end
  end
  if n > 0 then return out end
end
for _, s in ipairs(streams) do
  if redis.call('EXISTS', base .. ':' .. s) == 1 then
    local r = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', most - n, 'STREAMS', base .. ':' .. s, '>')
    if r then
      for _, e in ipairs(r[1][2]) do add(s, e, 1, '0') end
      if n >= most then return out end
    end
  end
end
return out
