-- Ends leases: in one step an item leaves, its products enter and the counters change. An item that was settled by
-- somebody else already is passed over: its products are there. So is a push that was made already.
-- KEYS: meta. ARGV: base, group, most lines parked of an outcome, most reasons, milliseconds for which pushes are known;
-- number of files that were copied and id, bytes of each; and for each other lease: stream ('' for none), id (of the push if there is no stream), keep its state for its only product, number
-- of counters and name, change of each; number of products and stream, again, payload of each; number of parked and outcome,
-- reason, line of each.
local meta, base, group = KEYS[1], ARGV[1], ARGV[2]
local at = 6
local function nextarg()
  at = at + 1
  return ARGV[at - 1]
end

local pushes = base .. ':pushes'

-- remember keeps the id of a push for as long as it may be sent again.
local function remember(push)
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  redis.call('ZREMRANGEBYSCORE', pushes, '-inf', now - tonumber(ARGV[5]))
  redis.call('ZADD', pushes, now, push)
end

-- acknowledged ends a lease; whoever comes first does.
local function acknowledged(stream, id) return redis.pcall('XACK', base .. ':' .. stream, group, id) == 1 end

local function pending(stream, id)
  local p = redis.pcall('XPENDING', base .. ':' .. stream, group, id, id, 1)
  return not p.err and #p > 0
end

local streams = {} -- that are there, and their keys
local function produce(stream, again, payload)
  local key = streams[stream]
  if not key then
    key = base .. ':' .. stream
    if redis.call('EXISTS', key) == 0 then redis.call('XGROUP', 'CREATE', key, group, '0', 'MKSTREAM') end
    streams[stream] = key
  end
  if again == '1' then return redis.call('XADD', key, '*', 'i', payload, 'a', '1') end
  return redis.call('XADD', key, '*', 'i', payload)
end

local function park(outcome, reason, line)
  local list, reasons = base .. ':parked:' .. outcome, base .. ':reasons'
  if redis.call('LLEN', list) < tonumber(ARGV[3]) then redis.call('RPUSH', list, line) end
  local field = outcome .. ': ' .. reason
  if redis.call('HEXISTS', reasons, field) == 0 and redis.call('HLEN', reasons) >= tonumber(ARGV[4]) then
    field = outcome .. ': other'
  end
  redis.call('HINCRBY', reasons, field, 1)
end

local states = base .. ':states'
local saved = redis.call('EXISTS', states) == 1
local exists = redis.call('EXISTS', meta) == 1
local counters = {}
local left = {} -- by stream, the ids of what leaves it

local files = base .. ':files'
local copied, bytes = {}, 0
for _ = 1, tonumber(nextarg()) do
  local id, size = nextarg(), nextarg()
  if exists and redis.pcall('XACK', files, group, id) == 1 then
    copied[#copied + 1] = id
    bytes = bytes + size
    if saved then redis.call('HDEL', states, 'files ' .. id) end
  end
end
if #copied > 0 then
  left['files'] = copied
  counters = {open_files = -#copied, copied = #copied, bytes = bytes}
end
while at <= #ARGV do
  local stream, id, keep = nextarg(), nextarg(), nextarg()
  local changes, product = {}, nil
  for _ = 1, tonumber(nextarg()) do changes[#changes + 1] = {nextarg(), tonumber(nextarg())} end
  local products = tonumber(nextarg())
  -- With products nothing is written before them: where memory is short, Redis refuses the first write that needs some, and
  -- the whole script.
  local mine = exists
  if mine and stream == '' then
    mine = not redis.call('ZSCORE', pushes, id)
  elseif mine and products > 0 then
    mine = pending(stream, id)
  elseif mine then
    mine = acknowledged(stream, id)
  end
  for _ = 1, products do
    local s, again, payload = nextarg(), nextarg(), nextarg()
    if mine then product = {s, produce(s, again, payload)} end
  end
  if mine and stream == '' then
    remember(id)
  elseif mine then
    if products > 0 then redis.call('XACK', base .. ':' .. stream, group, id) end
    left[stream] = left[stream] or {}
    table.insert(left[stream], id)
    local state = saved and redis.call('HGET', states, stream .. ' ' .. id)
    if state then
      redis.call('HDEL', states, stream .. ' ' .. id)
      if keep == '1' then redis.call('HSET', states, product[1] .. ' ' .. product[2], state) end
    end
  end
  for _ = 1, tonumber(nextarg()) do
    local outcome, reason, line = nextarg(), nextarg(), nextarg()
    if mine then park(outcome, reason, line) end
  end
  if mine then
    for _, c in ipairs(changes) do counters[c[1]] = (counters[c[1]] or 0) + c[2] end
  end
end
for stream, ids in pairs(left) do redis.call('XDEL', base .. ':' .. stream, unpack(ids)) end
for name, change in pairs(counters) do redis.call('HINCRBY', meta, name, string.format('%.0f', change)) end
return 1
