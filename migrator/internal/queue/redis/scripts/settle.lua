-- Ends leases: in one step an item leaves, its products enter and the counters change. An item that was settled by
-- somebody else already is passed over: its products are there.
-- KEYS: meta. ARGV: base, group, most lines parked of an outcome, most reasons, and for each lease: stream ('' for
-- none), id, keep its state for its only product, number of counters and name, change of each; number of products and
-- stream, again, payload of each; number of parked and outcome, reason, line of each.
-- Returns 1 for each lease that counted and 0 for the others.
local meta, base, group = KEYS[1], ARGV[1], ARGV[2]
local at = 5
local function nextarg()
  at = at + 1
  return ARGV[at - 1]
end

local function owned(stream, id)
  if stream == '' then return true end
  local p = redis.pcall('XPENDING', base .. ':' .. stream, group, id, id, 1)
  return not p.err and #p > 0
end

local function produce(stream, again, payload)
  local key = base .. ':' .. stream
  if redis.call('EXISTS', key) == 0 then redis.call('XGROUP', 'CREATE', key, group, '0', 'MKSTREAM') end
  return redis.call('XADD', key, '*', 'i', payload, 'a', again)
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

local done = {}
local exists = redis.call('EXISTS', meta) == 1
while at <= #ARGV do
  local stream, id, keep = nextarg(), nextarg(), nextarg()
  local mine = exists and owned(stream, id)
  local counters, product = {}, nil
  for _ = 1, tonumber(nextarg()) do counters[#counters + 1] = {nextarg(), nextarg()} end
  -- Products first: where memory is short, Redis refuses the first write and the whole script.
  for _ = 1, tonumber(nextarg()) do
    local s, again, payload = nextarg(), nextarg(), nextarg()
    if mine then product = {s, produce(s, again, payload)} end
  end
  if mine and stream ~= '' then
    redis.call('XACK', base .. ':' .. stream, group, id)
    redis.call('XDEL', base .. ':' .. stream, id)
    local field = stream .. ' ' .. id
    local state = redis.call('HGET', base .. ':states', field)
    if state then
      redis.call('HDEL', base .. ':states', field)
      if keep == '1' then redis.call('HSET', base .. ':states', product[1] .. ' ' .. product[2], state) end
    end
  end
  for _ = 1, tonumber(nextarg()) do
    local outcome, reason, line = nextarg(), nextarg(), nextarg()
    if mine then park(outcome, reason, line) end
  end
  if mine then
    for _, c in ipairs(counters) do redis.call('HINCRBY', meta, c[1], c[2]) end
  end
  done[#done + 1] = mine and 1 or 0
end
return done
