-- A sign of life: keeps the items and locks of a process, and forgets processes that died long ago and hold nothing.
-- KEYS: workers. ARGV: base, group, consumer, lease in milliseconds, folder streams, number of locks, the locks, and
-- stream and id of each item.
local base, group, me, lease = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local at = 7
for _ = 1, tonumber(ARGV[6]) do
  if redis.call('GET', ARGV[at]) == me then redis.call('PEXPIRE', ARGV[at], lease) end
  at = at + 1
end
while at < #ARGV do
  local key, id = base .. ':' .. ARGV[at], ARGV[at + 1]
  local p = redis.pcall('XPENDING', key, group, id, id, 1)
  if not p.err and #p > 0 and p[1][2] == me then redis.call('XCLAIM', key, group, me, 0, id, 'JUSTID') end
  at = at + 2
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now, me)
local streams = {'files'}
for level = 0, tonumber(ARGV[5]) - 1 do streams[#streams + 1] = 'folders:' .. level end
for _, w in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now - 10 * lease, 'BYSCORE', 'LIMIT', 0, 10)) do
  local holds = false
  for _, s in ipairs(streams) do
    local p = redis.pcall('XPENDING', base .. ':' .. s, group, '-', '+', 1, w)
    if not p.err and #p > 0 then
      holds = true
    elseif not p.err then
      redis.call('XGROUP', 'DELCONSUMER', base .. ':' .. s, group, w)
    end
  end
  if not holds then redis.call('ZREM', KEYS[1], w) end
end
return 1
