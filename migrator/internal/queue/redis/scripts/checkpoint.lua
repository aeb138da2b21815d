-- Saves the progress of an item that is the caller's; nothing takes it away.
-- KEYS: states. ARGV: key of the stream, group, consumer, id, field, state.
local p = redis.pcall('XPENDING', ARGV[1], ARGV[2], ARGV[4], ARGV[4], 1)
if p.err or #p == 0 or p[1][2] ~= ARGV[3] then return 0 end
if ARGV[6] == '' then return redis.call('HDEL', KEYS[1], ARGV[5]) end
return redis.call('HSET', KEYS[1], ARGV[5], ARGV[6])
