-- Forgets a process that ends. What it may still hold stays and is taken over later.
-- KEYS: workers. ARGV: base, group, consumer, folder streams.
local base, group, me = ARGV[1], ARGV[2], ARGV[3]
local streams = {'files'}
for level = 0, tonumber(ARGV[4]) - 1 do streams[#streams + 1] = 'folders:' .. level end
local holds = false
for _, s in ipairs(streams) do
  local p = redis.pcall('XPENDING', base .. ':' .. s, group, '-', '+', 1, me)
  if not p.err and #p > 0 then
    holds = true
  elseif not p.err then
    redis.call('XGROUP', 'DELCONSUMER', base .. ':' .. s, group, me)
  end
end
if not holds then redis.call('ZREM', KEYS[1], me) end
return 1
