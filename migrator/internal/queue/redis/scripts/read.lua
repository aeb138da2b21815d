-- Reads all that is known of a migration at one time.
-- KEYS: meta. ARGV: base, lease in milliseconds.
-- Returns how many keys there are that every migration has, the meta key, the reasons, and how many processes are alive.
local meta, base = KEYS[1], ARGV[1]
local t = redis.call('TIME')
local since = t[1] * 1000 + math.floor(t[2] / 1000) - tonumber(ARGV[2])
return {redis.call('EXISTS', meta, base .. ':files', base .. ':folders:0'), redis.call('HGETALL', meta),
  redis.call('HGETALL', base .. ':reasons'), redis.call('ZCOUNT', base .. ':workers', since, '+inf')}
