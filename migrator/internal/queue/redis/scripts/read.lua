-- Reads all that is known of a migration at one time.
-- KEYS: meta. ARGV: base, lease in milliseconds, group, folder streams.
-- Returns how many keys there are that every migration has, the meta key, the reasons, how many processes are alive, and
-- how many open folders and files are nowhere: what is open waits in its stream or is pending with a process. The first
-- is -1 where the streams are a migration's and the meta key is gone.
local meta, base, group = KEYS[1], ARGV[1], ARGV[3]
local t = redis.call('TIME')
local since = t[1] * 1000 + math.floor(t[2] / 1000) - tonumber(ARGV[2])

-- reach says how many entries of a stream are pending, whether others wait to be handed out, and whether it is there.
local function reach(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', base .. ':' .. stream)
  if groups.err then return 0, false, false end
  for _, g in ipairs(groups) do
    local f = {}
    for i = 1, #g, 2 do f[g[i]] = g[i + 1] end
    if f.name == group then
      local last = f['last-delivered-id']
      return f.pending, #redis.call('XRANGE', base .. ':' .. stream, '(' .. last, '+', 'COUNT', 1) > 0, true
    end
  end
  return 0, false, false
end

local function missing(counter, streams)
  local open = tonumber(redis.call('HGET', meta, counter) or 0)
  for _, s in ipairs(streams) do
    local pending, waits = reach(s)
    if waits then return 0 end
    open = open - pending
  end
  return math.max(0, open)
end

local folders = {}
for level = 0, tonumber(ARGV[4]) - 1 do folders[#folders + 1] = 'folders:' .. level end
local there = redis.call('EXISTS', meta, base .. ':files', base .. ':folders:0')
if redis.call('EXISTS', meta) == 0 and (select(3, reach('files')) or select(3, reach('folders:0'))) then there = -1 end
return {there, redis.call('HGETALL', meta), redis.call('HGETALL', base .. ':reasons'),
  redis.call('ZCOUNT', base .. ':workers', since, '+inf'), missing('open_folders', folders),
  missing('open_files', {'files'})}
